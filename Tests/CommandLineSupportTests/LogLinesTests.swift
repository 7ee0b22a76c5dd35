import CommandLineSupport
import Testing

@Suite struct LogLinesTests {
    @Test(arguments: [
        ("one", "info: one\n"), ("", ""), ("\n\n", ""),
        ("one\ntwo\n\nthree", "info: one\ninfo:     two\ninfo:     three\n"),
        ("a\tb", "info: a\tb\n"), ("\u{1b}[31mred\u{7}\0", "info: ?[31mred??\n"), ("a\rb", "info: a?b\n"),
        ("\u{202e}txt\u{2028}x\u{85}", "info: ?txt?x?\n"), ("é 漢 \u{FFFD}", "info: é 漢 \u{FFFD}\n"),
    ])
    func noLinePassesForAnotherMessage(message: String, lines: String) {
        #expect(logLines(message, prefix: "info: ") == lines)
    }
}
