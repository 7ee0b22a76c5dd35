import CommandLineSupport
import Testing

struct ErrorLinesTests {
    @Test func everyMessageHasTheProgramsNameAndItsExcerptHasNot() {
        #expect(errorLines("one", program: "p") == "p: one\n")
        #expect(
            errorLines("f:1:2: a\n\tline\n\t ^\nf:3:1: b", program: "p") == "p: f:1:2: a\n\tline\n\t ^\np: f:3:1: b\n")
    }
}
