import ArgumentParser
import CommandLineSupport
import Engine
import Glibc

/// The two programs of one binary: `npfctl`, and `luactl` by NetBSD's name for what concerns Lua.
@main
enum Program {
    static func main() {
        let name = CommandLine.arguments.first?.split(separator: "/").last ?? "npfctl"
        // A closed pipe (`npfctl replay … | head`) is an end like any other.
        signal(SIGPIPE, SIG_DFL)
        if name == "luactl" { Luactl.runProgram() } else { Npfctl.runProgram() }
    }
}

struct Npfctl: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "npfctl",
        abstract: "Controls the npflua packet filter, and tries out its rules and scripts.",
        discussion: "Called as luactl, it shows the live Lua states and loads scripts into them.",
        version: npfluaVersion,
        subcommands: [
            Start.self, Stop.self, Flush.self, Reload.self, Show.self, Stats.self, Validate.self, ReplayCommand.self,
            ExplainCommand.self, TestCommand.self, RuleCommand.self, TableCommand.self, ListCommand.self,
            LuaCommand.self,
        ])
    @OptionGroup var socket: SocketOption
}

struct Luactl: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "luactl",
        abstract: "Shows the live Lua states of the npflua packet filter, and loads scripts into them.",
        version: npfluaVersion,
        subcommands: [ListStates.self, LoadScript.self],
        defaultSubcommand: ListStates.self)
    @OptionGroup var socket: SocketOption
}
