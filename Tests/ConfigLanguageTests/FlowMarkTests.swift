import ConfigLanguage
import Testing

/// The values of connections' marks.
struct FlowMarkTests {
    private func marks(_ text: String) throws -> Configuration.FlowMarks {
        try Configuration(parsing: Array("\(text)\ngroup default { pass all }".utf8), file: "f").flowMarks
    }

    /// Procedures by letters: of one script, of a script and something else, of something else, of nothing.
    private static let procedures = """
        procedure "a" { lua: }
        procedure "b" { lua: ; log: npflog0 }
        procedure "c" { lua: call g, payload }
        procedure "d" { log: npflog0 }
        procedure "e" { }
        procedure "f" { lua: ; lua: call g }
        procedure "h" { lua: inspect 5 }

        """

    @Test(
        arguments: [
            ("", 0xc000_0000, 0x4000_0000, ["a": 0x8000_0000, "c": 0xc000_0000]),
            ("set flow.mark 0x3", 3, 1, ["a": 2, "c": 3]),
            ("set flow.mark 0xe0", 0xe0, 0x20, ["a": 0x40, "c": 0x60, "h": 0x80]),
            ("set flow.mark 0xffffffff", 0xffff_ffff, 1, ["a": 2, "c": 3, "h": 4]),
            ("set flow.mark 0x3; set flow.mark 0xc", 0xc, 4, ["a": 8, "c": 0xc]),
            ("set flow.mark 0", 0, 0, [:]),
        ] as [(String, UInt32, UInt32, [String: UInt32])])
    func valuesAreForProceduresOfOneScript(
        _ setting: String, _ mask: UInt32, _ blocked: UInt32, _ passed: [String: UInt32]
    ) throws {
        let marks = try marks("\(setting)\n\(Self.procedures)")
        #expect(marks.mask == mask)
        #expect(marks.blocked == blocked)
        #expect(marks.passed == passed)
    }
}
