import ControlProtocol
import Testing

@Suite struct ControlRequestTests {
    @Test(arguments: [
        ControlRequest(.show),
        ControlRequest(.reload, file: .init(name: "/etc/npf.conf", text: "group default {\n\tpass all # “ü”\n}\n")),
        ControlRequest(.luaLoad, file: .init(name: "filter.lua", text: "return '\\0\u{1}'")),
    ])
    func requestSurvivesItsLine(_ request: ControlRequest) throws {
        let line = request.line()
        #expect(line.last == UInt8(ascii: "\n"))
        #expect(line.dropLast().contains(UInt8(ascii: "\n")) == false)
        #expect(try ControlRequest(line: Array(line.dropLast())) == request)
    }

    @Test func whatTheKernelDecidesSurvivesItsLine() throws {
        var response = ControlResponse()
        var report = KernelReport(
            backend: "nftables",
            items: [.init(direction: "in", action: "drop", place: "npf.conf:3", text: "block in all", entry: 2)])
        report.items[0].packets = .max
        report.payloadless = 7
        response.kernel = report
        #expect(try ControlResponse(line: Array(response.line().dropLast())) == response)
    }

    @Test(arguments: [
        ("", "request is not a JSON object with a version and a command"),
        ("{", "request is not a JSON object with a version and a command"),
        ("[]", "request is not a JSON object with a version and a command"),
        (#"{"version":1}"#, "request is not a JSON object with a version and a command"),
        (#"{"version":"1","command":"show"}"#, "request is not a JSON object with a version and a command"),
        (
            #"{"version":2,"command":"show"}"#,
            "protocol version 2 is not spoken here: this daemon speaks 1"
        ),
        (
            #"{"version":1,"command":"sing"}"#,
            "unknown command “sing”: this daemon knows reload, start, stop, flush, show, stats, lua-load, lua-list, "
                + "rule, table, connections, explain, kernel, kernel-text"
        ),
        (
            #"{"version":1,"command":"reload","file":"x"}"#,
            "“file” must be an object with a name and a text"
        ),
        (
            #"{"version":1,"command":"table","table":{"name":"t","operation":"add","address":"::","seconds":0}}"#,
            "“seconds” must be a whole number above zero"
        ),
        (
            #"{"version":1,"command":"table","table":{"name":"t","operation":"add","seconds":-9223372036854775808}}"#,
            "“seconds” must be a whole number above zero"
        ),
        (
            #"{"version":1,"command":"explain","packets":["# + String(repeating: #""in","#, count: 16) + #""in"]}"#,
            "“packets” must be at most 16 descriptions"
        ),
        (String(repeating: "[", count: 100_000), "request is not a JSON object with a version and a command"),
    ])
    func badLineIsRefusedWithASentence(_ line: String, _ sentence: String) {
        #expect(throws: ControlProtocolError(sentence)) { try ControlRequest(line: Array(line.utf8)) }
    }

    @Test func lineIsBounded() {
        let line = [UInt8](repeating: UInt8(ascii: "x"), count: ControlRequest.maximumLength + 1)
        #expect(throws: ControlProtocolError("request is longer than 67108864 bytes")) {
            try ControlRequest(line: line)
        }
    }
}

@Suite struct ControlResponseTests {
    @Test func responseSurvivesItsLine() throws {
        var response = ControlResponse()
        response.rules = RulesReport(
            active: true, loaded: true, text: "group default {\n}\n",
            rules: [RuleReport(entry: 2, rule: "pass all", packets: .max, bytes: 1, calls: 2, blocks: 3, errors: 4)])
        response.statistics = StatisticsReport(
            sections: [.init("Packets passed", [.init("ruleset pass", 7)])], queues: 5...6,
            kernelQueues: [.init("packets waiting", 0)])
        response.states = [LuaStateReport(script: "filter.lua", function: "filter", entry: 2, worker: 0, memory: 9)]
        #expect(try ControlResponse(line: Array(response.line().dropLast())) == response)

        let refusal = ControlResponse(error: "npf.conf:1:2: expected a rule")
        let decoded = try ControlResponse(line: Array(refusal.line().dropLast()))
        #expect(decoded == refusal)
        #expect(!decoded.ok)
    }

    @Test func foreignAnswerIsAnError() {
        #expect(throws: ControlProtocolError.self) { try ControlResponse(line: Array("hello".utf8)) }
    }
}
