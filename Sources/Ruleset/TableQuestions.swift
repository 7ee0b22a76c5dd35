/// A table that rules ask about one end of packets.
public struct TableQuestion: BitwiseCopyable, Hashable, Sendable {
    /// The table's index in `CompiledRuleset.tables`.
    public let table: Int32
    /// Whether it is asked about the source, or else the destination.
    public let isAboutSource: Bool

    /// A question about an end of packets.
    public init(table: Int32, isAboutSource: Bool) {
        self.table = table
        self.isAboutSource = isAboutSource
    }
}

/// The first eight questions that rules ask of tables, each once: plain memory, for the packet path.
public struct TableQuestions: BitwiseCopyable, Sendable {
    private var questions = InlineArray<8, TableQuestion>(repeating: TableQuestion(table: -1, isAboutSource: false))
    /// How many questions are known.
    public private(set) var count = 0

    /// No question.
    init() {}

    /// The question at an index below `count`.
    public subscript(index: Int) -> TableQuestion { questions[index] }

    /// Adds the questions of a program, in the order of its rules.
    mutating func add(_ program: RuleProgram) {
        for index in unsafe 0..<program.count {
            let entry = unsafe program.entries[index]
            for (test, isAboutSource) in [(entry.source, true), (entry.destination, false)] where test.lists >= 0 {
                let lists = unsafe program.lists[Int(test.lists)]
                for place in lists.firstTable..<(lists.firstTable + lists.tableCount) {
                    unsafe add(TableQuestion(table: program.tables[Int(place)], isAboutSource: isAboutSource))
                }
            }
        }
    }

    private mutating func add(_ question: TableQuestion) {
        guard question.table >= 0, count < questions.count else { return }
        for index in 0..<count where questions[index] == question { return }
        questions[count] = question
        count += 1
    }
}
