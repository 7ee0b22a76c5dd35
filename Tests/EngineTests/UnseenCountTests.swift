import Engine
import Testing

@Suite struct UnseenCountTests {
    private enum Event {
        case rules(arrivals: UInt32)
        case reading(sent: UInt64, arrivals: UInt32)
    }

    /// What has passed by each event, and the count then.
    private static let cases: [(name: String, events: [(Event, UInt64)])] = [
        ("all have come", [(.rules(arrivals: 0), 0), (.reading(sent: 100, arrivals: 100), 0)]),
        ("some have not", [(.rules(arrivals: 50), 0), (.reading(sent: 100, arrivals: 110), 40)]),
        (
            "many come while the rules are listed",
            [
                (.rules(arrivals: 0), 0), (.reading(sent: 100, arrivals: 60), 40),
                (.reading(sent: 200, arrivals: 900), 40),
                (.reading(sent: 1000, arrivals: 900), 100),
            ]
        ),
        (
            "other rules, while packets come",
            [
                (.rules(arrivals: 0), 0), (.reading(sent: 100, arrivals: 60), 40), (.rules(arrivals: 60), 40),
                (.reading(sent: 5, arrivals: 80), 40), (.reading(sent: 60, arrivals: 90), 70),
            ]
        ),
        (
            "somebody sets the rules' counters to 0",
            [
                (.rules(arrivals: 0), 0), (.reading(sent: 4_000_000_000, arrivals: 3_999_999_990), 10),
                (.reading(sent: 7, arrivals: 4_000_000_000), 10), (.reading(sent: 9, arrivals: 4_000_000_001), 11),
            ]
        ),
        (
            "more than the kernel counts to",
            [
                (.rules(arrivals: 0xffff_fff0), 0), (.reading(sent: 0x1_0000_0010, arrivals: 0xffff_fffe), 2),
            ]
        ),
    ]

    @Test func countsWhatWasSentAndHasNotCome() {
        for (name, events) in Self.cases {
            var unseen = UnseenCount()
            for (index, (event, count)) in events.enumerated() {
                switch event {
                case .rules(let arrivals): unseen.restart(arrivals: arrivals)
                case .reading(let sent, let arrivals): unseen.note(sent: sent, arrivals: arrivals)
                }
                #expect(unseen.count == count, "\(name), \(index)")
            }
        }
    }
}
