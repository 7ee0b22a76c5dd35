import Packet

/// The rules in the memory that the packet path reads: of the configuration itself, or of one dynamic ruleset.
@unsafe
struct RuleProgram: BitwiseCopyable {
    let entries: UnsafePointer<Entry>
    let count: Int
    let lists: UnsafePointer<EndpointLists>
    let rests: UnsafePointer<RestTest>
    let addresses: UnsafePointer<NumberRange<UInt128>>
    let hashes: UnsafePointer<UInt128>
    let ports: UnsafePointer<NumberRange<UInt16>>
    let protocols: UnsafePointer<NumberRange<UInt8>>
    let tables: UnsafePointer<Int32>
    let instructions: UnsafePointer<BPFInstruction>
}

/// The owner of a program's memory, which never changes.
@safe
final class RuleMemory: @unchecked Sendable {  // written by the initializer only
    let program: RuleProgram
    let hasInstructions: Bool

    init(_ rules: LoweredRules) {
        hasInstructions = !rules.instructions.isEmpty
        unsafe program = RuleProgram(
            entries: Self.copy(rules.entries), count: rules.entries.count, lists: Self.copy(rules.lists),
            rests: Self.copy(rules.rests), addresses: Self.copy(rules.addresses), hashes: Self.copy(rules.hashes),
            ports: Self.copy(rules.ports), protocols: Self.copy(rules.protocols), tables: Self.copy(rules.tables),
            instructions: Self.copy(rules.instructions))
    }

    deinit {
        unsafe program.entries.deallocate()
        unsafe program.lists.deallocate()
        unsafe program.rests.deallocate()
        unsafe program.addresses.deallocate()
        unsafe program.hashes.deallocate()
        unsafe program.ports.deallocate()
        unsafe program.protocols.deallocate()
        unsafe program.tables.deallocate()
        unsafe program.instructions.deallocate()
    }

    private static func copy<Element: BitwiseCopyable>(_ elements: [Element]) -> UnsafePointer<Element> {
        let memory = UnsafeMutablePointer<Element>.allocate(capacity: max(elements.count, 1))
        unsafe elements.withUnsafeBufferPointer {
            if let base = $0.baseAddress { unsafe memory.initialize(from: base, count: $0.count) }
        }
        return unsafe UnsafePointer(memory)
    }
}
