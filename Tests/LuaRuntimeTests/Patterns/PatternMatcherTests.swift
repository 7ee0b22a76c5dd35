import LuaRuntime
import TestSupport
import Testing

/// What a search found, with the captures as text (`@n` a position capture, `?` an unfinished one).
private enum Found: Equatable, CustomStringConvertible {
    case match(Range<Int>, [String])
    case none
    case error(String)

    var description: String {
        switch self {
        case .match(let range, let captures): "match \(range) \(captures)"
        case .none: "no match"
        case .error(let message): "error: \(message)"
        }
    }
}

private struct Search {
    var pattern: [UInt8]
    var subject: [UInt8]
    var start = 0
    var excludedEnd = -1
    var anchors = true

    init(_ pattern: String, _ subject: String) {
        self.init(Array(pattern.utf8), Array(subject.utf8))
    }

    init(_ pattern: [UInt8], _ subject: [UInt8]) {
        self.pattern = pattern
        self.subject = subject
    }

    /// What the reference finds; nil where that takes it too long.
    func reference() -> Found? {
        var reference = ReferencePattern(pattern, subject)
        do {
            guard let (range, captures) = try reference.search() else { return Found.none }
            return .match(
                range,
                captures.map { capture in
                    switch capture {
                    case .open: "?"
                    case .position(let place): "@\(place)"
                    case .text(let range): String(decoding: subject[range], as: UTF8.self)
                    }
                })
        } catch let failure as ReferencePattern.Failure {
            return .error(failure.message)
        } catch {
            return nil
        }
    }

    /// Compiles the pattern and runs the search in slices; what it found, or nil when `limit` steps are used up, and
    /// the steps taken.
    func run(slice: Int = 1000, limit: Int = 1_000_000) -> (found: Found?, steps: Int) {
        unsafe pattern.withUnsafeBufferPointer { pattern in
            var taken = 0
            let memory = unsafe Self.compile(pattern, anchors ? .pattern : .unanchored, slice: slice, &taken)
            defer { unsafe memory.deallocate() }
            let program = unsafe UnsafePointer(memory.assumingMemoryBound(to: PatternProgram.self))
            return unsafe (search(program, slice: slice, limit: limit, &taken), taken)
        }
    }

    private static func compile(
        _ pattern: UnsafeBufferPointer<UInt8>, _ mode: PatternCompiler.Mode, slice: Int, _ taken: inout Int
    ) -> UnsafeMutableRawPointer {
        var compiler = unsafe PatternCompiler(pattern, mode)
        var size: Int?
        repeat {
            var steps = slice
            size = compiler.measure(steps: &steps)
            taken += slice - steps
        } while size == nil
        let memory = UnsafeMutableRawPointer.allocate(byteCount: size!, alignment: 16)
        var isDone = false
        repeat {
            var steps = slice
            isDone = unsafe compiler.compile(into: memory, steps: &steps)
            taken += slice - steps
        } while !isDone
        return unsafe memory
    }

    private func search(
        _ program: UnsafePointer<PatternProgram>, slice: Int, limit: Int, _ taken: inout Int
    ) -> Found? {
        let frames = UnsafeMutablePointer<PatternMatcher.Frame>.allocate(capacity: PatternMatcher.maximumDepth)
        let captures = UnsafeMutablePointer<PatternMatcher.Capture>.allocate(capacity: PatternMatcher.maximumCaptures)
        defer {
            unsafe frames.deallocate()
            unsafe captures.deallocate()
        }
        return unsafe subject.withUnsafeBufferPointer { subject in
            var matcher = unsafe PatternMatcher(
                program: program, subject: subject, from: start, excludingEnd: excludedEnd)
            while taken < limit {
                var steps = slice
                let outcome = unsafe matcher.resume(steps: &steps, frames: frames, captures: captures)
                taken += slice - steps
                switch outcome {
                case .exhausted: continue
                case .noMatch: return Found.none
                case .failed(let error): return .error(error.description)
                case .matched:
                    let texts = (0..<matcher.captureCount).map { index in
                        let capture = unsafe captures[index]
                        return switch capture.length {
                        case PatternMatcher.Capture.unfinished: "?"
                        case PatternMatcher.Capture.position: "@\(capture.start)"
                        default:
                            String(
                                decoding: self.subject[capture.start..<capture.start + capture.length], as: UTF8.self)
                        }
                    }
                    return .match(matcher.match, texts)
                }
            }
            return nil
        }
    }
}

@Suite("Pattern matcher")
struct PatternMatcherTests {
    @Test(arguments: 1...4)
    func agreesWithTheReference(seed: UInt64) {
        var seeds = SplitMix64(state: seed)
        var (tooLong, matches, errors, differences) = (0, 0, 0, 0)
        for _ in 0..<250_000 {
            let random = RandomPattern(seed: seeds.next())
            let search = Search(random.pattern, random.subject)
            guard let expected = search.reference() else {
                tooLong += 1
                continue
            }
            switch expected {
            case .match: matches += 1
            case .error: errors += 1
            case .none: break
            }
            let found = search.run(limit: 100_000_000).found
            guard found != expected else { continue }
            differences += 1
            if differences <= 5 { #expect(found == expected, "\(random.pattern) on \(random.subject)") }
        }
        #expect(differences == 0)
        #expect(tooLong < 500)
        #expect(matches > 100_000)
        #expect(errors > 1_000)
    }

    private static let cases: [(pattern: String, subject: String, found: Found)] = [
        ("", "", .match(0..<0, [])),
        ("", "abc", .match(0..<0, [])),
        ("a", "", .none),
        // Classes and sets.
        ("%d+", "port 22/tcp", .match(5..<7, [])),
        ("%D+", "22/tcp", .match(2..<6, [])),
        ("%a%a", "1a2bc", .match(3..<5, [])),
        ("%u%l", "aBCd", .match(2..<4, [])),
        ("%x+", "xyzBEef09g", .match(3..<9, [])),
        ("%s%S", "a \t b", .match(3..<5, [])),
        ("%p", "ab;c", .match(2..<3, [])),
        ("%c", "ab\u{7F}", .match(2..<3, [])),
        ("%g+", " \u{1}ab~ ", .match(2..<5, [])),
        ("%z", "a\0", .match(1..<2, [])),
        ("%W", "az_", .match(2..<3, [])),
        ("%.", "a.b", .match(1..<2, [])),
        (".", "\0", .match(0..<1, [])),
        ("[a-c]+", "xxabcabd", .match(2..<7, [])),
        ("[^a-c]", "abcd", .match(3..<4, [])),
        ("[]]", "a]", .match(1..<2, [])),
        ("[^]]", "]a", .match(1..<2, [])),
        ("[a-]", "-", .match(0..<1, [])),
        ("[-a]", "-", .match(0..<1, [])),
        ("[%a-z]+", "b-", .match(0..<2, [])),
        ("[%]]", "]", .match(0..<1, [])),
        ("[a%-z]+", "m-", .match(1..<2, [])),
        ("[z-a]", "m", .none),
        ("[%d_%s]+", "a1_ b", .match(1..<4, [])),
        // Repetitions.
        ("ab*c", "xacabbbc", .match(1..<3, [])),
        ("ab+c", "acabbbc", .match(2..<7, [])),
        ("ab?c", "abbcac", .match(4..<6, [])),
        ("a.-c", "abcbc", .match(0..<3, [])),
        ("a.*c", "abcbcd", .match(0..<5, [])),
        ("a-", "aaa", .match(0..<0, [])),
        ("a-$", "aaa", .match(0..<3, [])),
        ("b*", "aaa", .match(0..<0, [])),
        ("a*ab", "aaab", .match(0..<4, [])),
        ("x?x?xx", "xx", .match(0..<2, [])),
        // Signs with nothing to repeat are plain.
        ("*a", "b*a", .match(1..<3, [])),
        ("+", "a+", .match(1..<2, [])),
        ("^*", "**", .match(0..<1, [])),
        ("a**", "aa*", .match(0..<3, [])),
        // Anchors.
        ("^a", "ba", .none),
        ("^a", "ab", .match(0..<1, [])),
        ("a$", "aab", .none),
        ("a$", "aba", .match(2..<3, [])),
        ("$", "ab", .match(2..<2, [])),
        ("^$", "", .match(0..<0, [])),
        ("^", "ab", .match(0..<0, [])),
        ("a$b", "a$b", .match(0..<3, [])),
        ("a^b", "a^b", .match(0..<3, [])),
        ("(a$)", "a$", .match(0..<2, ["a$"])),
        // Captures.
        ("(a)(b)", "xab", .match(1..<3, ["a", "b"])),
        ("((a)b)", "ab", .match(0..<2, ["ab", "a"])),
        ("()b()", "ab", .match(1..<2, ["@1", "@2"])),
        ("(a*(.)%w(%s*))", "aab ", .match(0..<4, ["aab ", "a", " "])),
        ("(a", "a", .match(0..<1, ["?"])),
        ("(a-)b", "aab", .match(0..<3, ["aa"])),
        ("(.)%1", "abccd", .match(2..<4, ["c"])),
        ("(['\"])(.-)%1", "say 'a\"b'", .match(4..<9, ["'", "a\"b"])),
        ("()%1", "aa", .none),
        ("(a?)(b?)c", "bc", .match(0..<2, ["", "b"])),
        // A capture that was closed on a way given up is open again on the next.
        ("(a-)a$", "aaa", .match(0..<3, ["aa"])),
        // Balance and frontier.
        ("%b()", "x(a(b)c)d", .match(1..<8, [])),
        ("%b()", "((a)", .match(1..<4, [])),
        ("%b''", "a'b'c'", .match(1..<4, [])),
        ("%b()", "", .none),
        ("%f[%w]%w+", " foo", .match(1..<4, [])),
        ("%f[%W]", "foo", .match(3..<3, [])),
        ("%f[%z]", "foo", .match(3..<3, [])),
        ("%f[a]a", "aa", .match(0..<1, [])),
        // The example of the talk.
        (
            "SSH%-[^-%G]+%-([^-%G]+)", "SSH-2.0-OpenSSH_6.4 FreeBSD-2013\r\n",
            .match(0..<19, ["OpenSSH_6.4"])
        ),
        // Mistakes.
        ("%", "a", .error("malformed pattern (ends with '%')")),
        ("a%", "a", .error("malformed pattern (ends with '%')")),
        ("[a", "a", .error("malformed pattern (missing ']')")),
        ("[]", "a", .error("malformed pattern (missing ']')")),
        ("[^]", "a", .error("malformed pattern (missing ']')")),
        ("[a%]", "a", .error("malformed pattern (missing ']')")),
        ("[a%", "a", .error("malformed pattern (missing ']')")),
        ("%b", "a", .error("malformed pattern (missing arguments to '%b')")),
        ("%ba", "a", .error("malformed pattern (missing arguments to '%b')")),
        ("%f", "a", .error("missing '[' after '%f' in pattern")),
        ("%fa", "a", .error("missing '[' after '%f' in pattern")),
        ("%f[a", "a", .error("malformed pattern (missing ']')")),
        ("a)", "a", .error("invalid pattern capture")),
        ("())", "a", .error("invalid pattern capture")),
        ("%1", "a", .error("invalid capture index %1")),
        ("(a%1)", "a", .error("invalid capture index %1")),
        ("(a)%2", "a", .error("invalid capture index %2")),
        ("%0", "a", .error("invalid capture index %0")),
        (String(repeating: "()", count: 32), "", .match(0..<0, Array(repeating: "@0", count: 32))),
        (String(repeating: "()", count: 33), "", .error("too many captures")),
        // A mistake behind what does not match is not seen.
        ("b[", "a", .none),
        ("ab%", "a", .none),
    ]

    @Test("finds what Lua finds")
    func table() {
        for (pattern, subject, found) in Self.cases {
            #expect(Search(pattern, subject).run().found == found, "\(pattern) in \(subject)")
        }
    }

    @Test("finds the same in slices of any size")
    func slices() {
        for (pattern, subject, found) in Self.cases {
            for slice in [1, 2, 3, 7] {
                #expect(Search(pattern, subject).run(slice: slice).found == found, "\(pattern) in \(subject), \(slice)")
            }
        }
        var long = Search("(a+)%1%bxy.-[c-e]+$", String(repeating: "a", count: 40) + "xxabyyc--ced")
        long.subject += long.subject
        let whole = long.run()
        #expect(whole.found != Found.none)
        for slice in 1...50 { #expect(long.run(slice: slice).found == whole.found, "\(slice)") }
    }

    @Test("begins at the start it is given and passes over an excluded end")
    func starts() {
        var search = Search("a*", "aaba")
        search.start = 2
        #expect(search.run().found == .match(2..<2, []))
        search.excludedEnd = 2
        #expect(search.run().found == .match(3..<4, []))
        search = Search("ab", "abab")
        search.start = 1
        #expect(search.run().found == .match(2..<4, []))
        search.pattern = Array("^b".utf8)
        #expect(search.run().found == .match(1..<2, []))
        for start in [5, -1, .min, .max] {
            search.pattern = []
            search.start = start
            #expect(search.run().found == Found.none, "\(start)")
        }
    }

    @Test("takes a leading ^ for a character where nothing is anchored")
    func withoutAnchors() {
        var search = Search("^a", "ba^a")
        search.anchors = false
        #expect(search.run().found == .match(2..<4, []))
    }

    @Test("gives up at as many open choices as Lua")
    func depth() {
        let subject = String(repeating: "x", count: 300)
        for item in ["x?", "x-"] {
            let longest = Search(String(repeating: item, count: 199), subject).run().found
            #expect(longest == .match(0..<(item == "x?" ? 199 : 0), []), "\(item)")
            let tooLong = Search(String(repeating: item, count: 200), subject).run().found
            #expect(tooLong == .error("pattern too complex"), "\(item)")
        }
        // What takes nothing leaves no choice open.
        #expect(Search(String(repeating: "y*", count: 1000), subject).run().found == .match(0..<0, []))
    }

    @Test("stops when the steps are used up")
    func metering() {
        let letters = String(repeating: "a", count: 30)
        // None has a literal, which the search would miss at once.
        let hopeless: [(String, String)] = [
            (String(repeating: "a?", count: 30) + String(repeating: "[a]", count: 30) + "[b]", letters),
            (String(repeating: "a?", count: 30) + String(repeating: "[a]", count: 30), String(letters.dropLast())),
            (String(repeating: ".-", count: 12) + "[b]", letters),
            (String(repeating: ".*", count: 12) + "[b]", letters),
            (String(repeating: "(.-)", count: 12) + "[b]", letters),
            ("%b().-.-.-.-[b]", String(repeating: "(((())))", count: 400)),
        ]
        for (pattern, subject) in hopeless {
            let limit = 100_000
            let (found, steps) = Search(pattern, subject).run(limit: limit)
            #expect(found == nil, "\(pattern)")
            #expect(steps >= limit && steps < limit + 2 * 1000, "\(pattern): \(steps)")
        }
    }

    @Test("charges for the length of sets, back references and what is skipped")
    func charges() {
        let long = String(repeating: "b", count: 20_000)
        let costs: [(pattern: String, subject: String, least: Int, most: Int)] = [
            ("[" + long + "]", "a", 30_000, 80_000),
            ("[" + long.prefix(1000) + "a]*", String(repeating: "a", count: 1000), 3000, 6000),
            ("a", long, 1000, 3000),
            ("(.*)%1", long, 10_000, 60_000),
            ("%bxy", "x" + long, 20_000, 70_000),
            ("a*", String(repeating: "a", count: 20_000), 5000, 8000),
            ("[bc]-a", long + "b", 1000, 3000),
            ("[ab][ac]", long, 30_000, 100_000),
            (".-.-[^b]", String(long.prefix(200)), 4000, 60_000),
        ]
        for (pattern, subject, least, most) in costs {
            let steps = Search(pattern, subject).run(limit: .max).steps
            #expect(steps >= least && steps <= most, "\(pattern.prefix(10)): \(steps)")
        }
    }
}
