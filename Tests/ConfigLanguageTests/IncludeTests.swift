import ConfigLanguage
import Testing

struct IncludeTests {
    private struct NoFile: Error, CustomStringConvertible {
        var path: String
        var description: String { "cannot read \(path): no such file" }
    }

    private func parse(_ files: [String: String], _ file: String = "/etc/npf.conf") throws -> Configuration {
        try Configuration.parse(Array((files[file] ?? "").utf8), file: file) { path throws in
            guard let text = files[path] else { throw NoFile(path: path) }
            return Array(text.utf8)
        }.configuration
    }

    @Test func filesStandWhereTheyAreIncluded() throws {
        let configuration = try parse([
            "/etc/npf.conf": "include \"npf/names.conf\"\ngroup default {\n include \"/rules\" ; block from $a\n}\n",
            "/etc/npf/names.conf": "include \"more.conf\"\n$a = $b",
            "/etc/npf/more.conf": "$b = 10.0.0.1",
            "/rules": "pass from $b\ngroup \"inner\" { pass all }",
        ])
        #expect(
            configuration.text() == """
                group default {
                \tpass from 10.0.0.1
                \tgroup "inner" {
                \t\tpass all
                \t}
                \tblock from 10.0.0.1
                }

                """)
        guard case .rule(let rule)? = configuration.groups.first?.items.first else {
            Issue.record("no rule")
            return
        }
        #expect(rule.location.description == "/rules:1:1")
    }

    /// The errors of files that `main` begins with.
    @Test(arguments: [
        (["/a": "include \"/a\"\n"], "/a:1:9: `/a` includes itself, by way of /a"),
        (
            ["/a": "include \"/b\"\n", "/b": "include \"/c\"\n", "/c": "\ninclude \"b\"\n"],
            "/c:2:9: `/b` includes itself, by way of /c"
        ),
        (["/a": "include \"gone\"\n"], "/a:1:9: cannot read /gone: no such file"),
        (["/a": "include gone\n"], "/a:1:9: expected a file's name in quotes after `include`, not `gone`"),
        (["/a": "include \"/b\" x\n", "/b": ""], "/a:1:14: expected the end of the line after `\"/b\"`, not `x`"),
        (
            ["/a": "group default {\ninclude \"/b\"\n}\n", "/b": "pass all }\n"],
            "/b:1:10: expected the end of the file, not `}`"
        ),
        (
            ["/a": "include \"/b\"\n", "/b": "set x 1\n"],
            "/b:1:5: the parameter `x` is unknown; npf.conf(5) lists them"
        ),
        (
            ["/a": "include \"/b\"\npass all }\n", "/b": "group default {\npass all\n"],
            "/b:3:1: the group of line 1 has no `}`, and here is the end of the file"
        ),
    ])
    func mistakes(_ files: [String: String], _ expected: String) {
        let error = #expect(throws: ConfigurationErrors.self) { try parse(files, "/a") }
        #expect(error?.diagnostics.first?.description == expected)
    }

    @Test func inclusionIsBounded() {
        var files = ["/f0": "group default { }\ninclude \"f1\""]
        for index in 1...20 { files["/f\(index)"] = "include \"f\(index + 1)\"" }
        let deep = #expect(throws: ConfigurationErrors.self) { try parse(files, "/f0") }
        #expect(
            deep?.diagnostics.first?.description
                == "/f16:1:9: files include files at most 16 deep, and 1024 in all")
        // Each file twice the one below it.
        for index in 0...15 { files["/f\(index)"] = String(repeating: "include \"f\(index + 1)\"\n", count: 2) }
        files["/f16"] = ""
        let wide = #expect(throws: ConfigurationErrors.self) { try parse(files, "/f0") }
        #expect(wide?.diagnostics.first?.message == "files include files at most 16 deep, and 1024 in all")
    }
}
