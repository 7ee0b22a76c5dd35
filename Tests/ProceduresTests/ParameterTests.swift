import Procedures
import Testing

struct ParameterTests {
    /// What is made, and what is said of it; nil: nothing.
    static let table: [(name: String, make: @Sendable () throws -> Void, message: String?)] = [
        ("min-ttl 0", { _ = try NormalizeParameters(minimumTTL: 0) }, nil),
        ("min-ttl 255", { _ = try NormalizeParameters(minimumTTL: 255) }, nil),
        ("min-ttl 256", { _ = try NormalizeParameters(minimumTTL: 256) }, "`min-ttl` lies within 0 and 255, not 256"),
        ("min-ttl -1", { _ = try NormalizeParameters(minimumTTL: -1) }, "`min-ttl` lies within 0 and 255, not -1"),
        ("max-mss 65535", { _ = try NormalizeParameters(maximumMSS: 65_535) }, nil),
        (
            "max-mss 65536", { _ = try NormalizeParameters(maximumMSS: 65_536) },
            "`max-mss` lies within 0 and 65535, not 65536"
        ),
        ("mod 1", { _ = try RandomBlockParameters(modulus: 1) }, nil),
        ("mod largest", { _ = try RandomBlockParameters(modulus: .max) }, nil),
        ("mod 0", { _ = try RandomBlockParameters(modulus: 0) }, "`mod` is 1 or more, not 0"),
        ("percentage 0.01", { _ = try RandomBlockParameters(hundredths: 1) }, nil),
        ("percentage 99.99", { _ = try RandomBlockParameters(hundredths: 9_999) }, nil),
        ("percentage 0", { _ = try RandomBlockParameters(hundredths: 0) }, "`percentage` lies within 0.01 and 99.99"),
        (
            "percentage 100", { _ = try RandomBlockParameters(hundredths: 10_000) },
            "`percentage` lies within 0.01 and 99.99"
        ),
        ("no rndblock", { _ = try RandomBlockParameters() }, "`rndblock` needs `mod N` or `percentage N`"),
        ("bitrate 1", { _ = try RateLimitParameters(bitrate: 1) }, nil),
        ("bitrate largest", { _ = try RateLimitParameters(bitrate: .max) }, nil),
        ("bitrate 0", { _ = try RateLimitParameters(bitrate: 0) }, "`bitrate` is 1 or more, not 0"),
        (
            "normal-burst 0", { _ = try RateLimitParameters(bitrate: 1, normalBurst: 0) },
            "`normal-burst` is 1 or more, not 0"
        ),
        (
            "extended-burst 0", { _ = try RateLimitParameters(bitrate: 1, extendedBurst: 0) },
            "`extended-burst` is 1 or more, not 0"
        ),
        ("log: npflog0", { _ = try LogParameters(interface: "npflog0") }, nil),
        ("log: a longest name", { _ = try LogParameters(interface: "npf-log_0.12345") }, nil),
        ("log: a file", { _ = try LogParameters(file: "blocked.pcapng") }, nil),
    ]

    @Test func `numbers out of their range are refused`() {
        for (name, make, message) in Self.table {
            do {
                try make()
                #expect(message == nil, "\(name)")
            } catch {
                #expect("\(error)" == message, "\(name)")
            }
        }
    }

    @Test func `no name of a log leads out of its folder`() {
        for name in ["", ".", "..", ".hidden", "a/b", "/etc", "a b", "ä", "a\0", "npflog0123456789", "a\n"] {
            let error = #expect(throws: ParameterError.self) { try LogParameters(interface: name) }
            #expect(
                error?.description
                    == "`log` needs a name such as `npflog0`: up to 15 letters, digits, `.`, `_` and `-`", "\(name)")
        }
        let long = String(repeating: "a", count: 122) + ".pcapng"
        for file in ["", "a", "a.pcap", ".pcapng", "../a.pcapng", "a/b.pcapng", "/a.pcapng", "a\0.pcapng", long] {
            let error = #expect(throws: ParameterError.self) { try LogParameters(file: file) }
            #expect(
                error?.description.hasPrefix("`log: file` needs a name such as `\"blocked.pcapng\"`") == true, "\(file)"
            )
        }
    }

    @Test func `a log's name becomes a file's`() throws {
        #expect(try LogParameters(interface: "npflog0").file == "npflog0.pcapng")
        #expect(try LogParameters(file: "blocked.pcapng").file == "blocked.pcapng")
    }

    @Test func `bursts are what comes in one and a half seconds, and twice that`() throws {
        let parameters = try RateLimitParameters(bitrate: 8_000_000)
        #expect(parameters.normalBurst == 1_500_000 && parameters.extendedBurst == 3_000_000)
        let given = try RateLimitParameters(bitrate: 8_000_000, normalBurst: 10_000)
        #expect(given.normalBurst == 10_000 && given.extendedBurst == 20_000)
        let largest = try RateLimitParameters(bitrate: 1, normalBurst: .max)
        #expect(largest.extendedBurst == .max)
    }
}
