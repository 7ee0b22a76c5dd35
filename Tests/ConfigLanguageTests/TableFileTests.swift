import ConfigLanguage
import Testing

struct TableFileTests {
    private func entries(_ text: String, _ type: Configuration.TableType = .lpm) throws -> [String] {
        try TableFile(parsing: Array(text.utf8), file: "t", type: type).entries.map { "\($0.location) \($0.prefix)" }
    }

    @Test func entriesAreAddressesAndNetworks() throws {
        let text = "# head\n10.0.0.1\n\n  192.0.2.0/24 \t\n2001:db8::/32\n#10.0.0.2\n10.1.2.3/8\n::1/128\n0.0.0.0/0"
        #expect(
            try entries(text) == [
                "t:2:1 10.0.0.1", "t:4:3 192.0.2.0/24", "t:5:1 2001:db8::/32", "t:7:1 10.0.0.0/8", "t:8:1 ::1",
                "t:9:1 0.0.0.0/0",
            ])
        #expect(try entries("") == [])
        #expect(try entries("10.0.0.1/32\n::1", .ipset) == ["t:1:1 10.0.0.1", "t:2:1 ::1"])
    }

    @Test(arguments: [
        ("10.0.0.1 # c", "1:1: expected an address or a network, such as `192.0.2.0/24`, and nothing else on the line"),
        (
            "\nexample.com",
            "2:1: expected an address or a network, such as `192.0.2.0/24`, and nothing else on the line"
        ),
        ("10.0.0.1\r", "1:1: expected an address or a network, such as `192.0.2.0/24`, and nothing else on the line"),
        ("1/2/3", "1:1: expected an address or a network, such as `192.0.2.0/24`, and nothing else on the line"),
        ("10.0.0.0/33", "1:1: `/33` is no prefix of this family: it is from 0 to 32"),
        ("::/129", "1:1: `/129` is no prefix of this family: it is from 0 to 128"),
        ("10.0.0.0/", "1:1: `/` is no prefix of this family: it is from 0 to 32"),
        ("10.0.0.0/+8", "1:1: `/+8` is no prefix of this family: it is from 0 to 32"),
        (
            "10.0.0.0/99999999999999999999",
            "1:1: `/99999999999999999999` is no prefix of this family: it is from 0 to 32"
        ),
        ("10.0.0.1\n10.0.0.2\n 10.0.0.1", "3:2: `10.0.0.1` stands in line 1 already"),
        ("10.0.0.1/8\n10.2.0.0/8", "2:1: `10.0.0.0/8` stands in line 1 already"),
    ])
    func mistakes(_ text: String, _ expected: String) {
        let error = #expect(throws: ConfigurationErrors.self) { try entries(text) }
        #expect(error?.diagnostics.map(\.description) == ["t:\(expected)"])
    }

    @Test func networksAreForLPMOnly() {
        for type in [Configuration.TableType.ipset, .const] {
            let error = #expect(throws: ConfigurationErrors.self) { try entries("10.0.0.1\n10.0.0.0/8\n::/0", type) }
            #expect(
                error?.diagnostics.map(\.description) == [
                    "t:2:1: `10.0.0.0/8` is a network, which only a table of type lpm holds",
                    "t:3:1: `::/0` is a network, which only a table of type lpm holds",
                ])
        }
    }
}
