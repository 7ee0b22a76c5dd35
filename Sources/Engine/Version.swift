/// The version of the programs.
public let npfluaVersion = "0.1.0"
