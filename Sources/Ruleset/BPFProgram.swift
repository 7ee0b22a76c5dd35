import Packet

/// Why a program of the classic BPF machine is not run.
public enum BPFProgramError: Error, Sendable, Hashable {
    /// It has no instruction, or more than 4096.
    case length
    /// The instruction at this index is none that there is.
    case unknownInstruction(Int)
    /// The instruction at this index jumps behind the end.
    case jump(Int)
    /// The instruction at this index uses a cell of memory that there is not.
    case memory(Int)
    /// The instruction at this index divides by zero.
    case division(Int)
    /// The last instruction does not return.
    case end
}

/// The classic BPF machine: jumps go forward only, so a program ends after as many steps as it has instructions.
enum BPFProgram {
    /// As in linux/filter.h: `BPF_MAXINSNS`, `BPF_MEMWORDS`.
    static let maximumLength = 4096
    static let memoryCells: UInt32 = 16

    /// Checks a program, which may be any bytes; one that passes can be run on every packet.
    static func verify(_ program: [BPFInstruction]) throws(BPFProgramError) {
        guard 1...maximumLength ~= program.count else { throw .length }
        for (index, instruction) in program.enumerated() {
            let behind = UInt64(program.count - index - 1)
            switch BPFOperation(rawValue: instruction.code) {
            case nil:
                throw .unknownInstruction(index)
            case .ja:
                guard UInt64(instruction.k) < behind else { throw .jump(index) }
            case .jeqK, .jeqX, .jgtK, .jgtX, .jgeK, .jgeX, .jsetK, .jsetX:
                guard UInt64(max(instruction.jt, instruction.jf)) < behind else { throw .jump(index) }
            case .ldMem, .ldxMem, .st, .stx:
                guard instruction.k < memoryCells else { throw .memory(index) }
            case .divK, .modK:
                guard instruction.k != 0 else { throw .division(index) }
            default:
                break
            }
        }
        switch BPFOperation(rawValue: program[program.count - 1].code) {
        case .retK, .retA: break
        default: throw .end
        }
    }

    /// Whether the verified program accepts the packet, which begins with its IP header.
    ///
    /// Part of the packet path. As in the kernel a load from behind the packet's end, and a division by zero, refuse it.
    /// - Parameter originalLength: bytes of the packet before it was cut, if it was.
    static func accepts(
        _ packet: RawSpan, originalLength: UInt32, _ program: UnsafePointer<BPFInstruction>, count: Int32
    ) -> Bool {
        var a: UInt32 = 0
        var x: UInt32 = 0
        var memory = InlineArray<16, UInt32>(repeating: 0)
        let length = max(UInt32(truncatingIfNeeded: packet.byteCount), originalLength)
        var index = 0
        while index < Int(count) {
            let instruction = unsafe program[index]
            guard let operation = BPFOperation(rawValue: instruction.code) else { return false }
            index &+= 1
            let k = instruction.k
            var holds: Bool?
            switch operation {
            case .ldW, .ldH, .ldB, .ldWInd, .ldHInd, .ldBInd:
                guard let value = load(operation, k: k, x: x, from: packet) else { return false }
                a = value
            case .ldImm: a = k
            case .ldLen: a = length
            case .ldMem: a = memory[Int(k & 15)]
            case .ldxImm: x = k
            case .ldxLen: x = length
            case .ldxMem: x = memory[Int(k & 15)]
            case .ldxMsh:
                guard let byte = byte(at: UInt64(k), of: packet) else { return false }
                x = (byte & 0xf) &* 4
            case .st: memory[Int(k & 15)] = a
            case .stx: memory[Int(k & 15)] = x
            case .addK: a = a &+ k
            case .addX: a = a &+ x
            case .subK: a = a &- k
            case .subX: a = a &- x
            case .mulK: a = a &* k
            case .mulX: a = a &* x
            case .divK, .divX, .modK, .modX:
                let divisor = operation == .divK || operation == .modK ? k : x
                guard divisor != 0 else { return false }
                a = operation == .divK || operation == .divX ? a / divisor : a % divisor
            case .orK: a |= k
            case .orX: a |= x
            case .andK: a &= k
            case .andX: a &= x
            case .xorK: a ^= k
            case .xorX: a ^= x
            case .lshK: a = a << k
            case .lshX: a = a << x
            case .rshK: a = a >> k
            case .rshX: a = a >> x
            case .neg: a = 0 &- a
            case .ja: index &+= Int(k)
            case .jeqK: holds = a == k
            case .jeqX: holds = a == x
            case .jgtK: holds = a > k
            case .jgtX: holds = a > x
            case .jgeK: holds = a >= k
            case .jgeX: holds = a >= x
            case .jsetK: holds = a & k != 0
            case .jsetX: holds = a & x != 0
            case .retK: return k != 0
            case .retA: return a != 0
            case .tax: x = a
            case .txa: a = x
            }
            if let holds { index &+= Int(holds ? instruction.jt : instruction.jf) }
        }
        return false
    }

    @inline(always)
    private static func load(_ operation: BPFOperation, k: UInt32, x: UInt32, from packet: RawSpan) -> UInt32? {
        // No sum of 32-bit offsets leaves 64 bits; one beyond 32 bits is behind every packet.
        switch operation {
        case .ldW: word(at: UInt64(k), of: packet)
        case .ldH: half(at: UInt64(k), of: packet)
        case .ldB: byte(at: UInt64(k), of: packet)
        case .ldWInd: word(at: UInt64(x) &+ UInt64(k), of: packet)
        case .ldHInd: half(at: UInt64(x) &+ UInt64(k), of: packet)
        default: byte(at: UInt64(x) &+ UInt64(k), of: packet)
        }
    }

    @inline(always)
    private static func byte(at offset: UInt64, of packet: RawSpan) -> UInt32? {
        guard offset < UInt64(packet.byteCount) else { return nil }
        return unsafe UInt32(packet.unsafeLoad(fromUncheckedByteOffset: Int(offset), as: UInt8.self))
    }

    @inline(always)
    private static func half(at offset: UInt64, of packet: RawSpan) -> UInt32? {
        guard offset &+ 2 <= UInt64(packet.byteCount) else { return nil }
        let value = unsafe packet.unsafeLoadUnaligned(fromUncheckedByteOffset: Int(offset), as: UInt16.self)
        return UInt32(UInt16(bigEndian: value))
    }

    @inline(always)
    private static func word(at offset: UInt64, of packet: RawSpan) -> UInt32? {
        guard offset &+ 4 <= UInt64(packet.byteCount) else { return nil }
        return UInt32(
            bigEndian: unsafe packet.unsafeLoadUnaligned(fromUncheckedByteOffset: Int(offset), as: UInt32.self))
    }
}

/// The operations by their codes (linux/bpf_common.h and linux/filter.h).
private enum BPFOperation: UInt16 {
    case ldImm = 0x00
    case ldW = 0x20
    case ldH = 0x28
    case ldB = 0x30
    case ldWInd = 0x40
    case ldHInd = 0x48
    case ldBInd = 0x50
    case ldMem = 0x60
    case ldLen = 0x80
    case ldxImm = 0x01
    case ldxMem = 0x61
    case ldxLen = 0x81
    case ldxMsh = 0xb1
    case st = 0x02
    case stx = 0x03
    case addK = 0x04
    case addX = 0x0c
    case subK = 0x14
    case subX = 0x1c
    case mulK = 0x24
    case mulX = 0x2c
    case divK = 0x34
    case divX = 0x3c
    case orK = 0x44
    case orX = 0x4c
    case andK = 0x54
    case andX = 0x5c
    case lshK = 0x64
    case lshX = 0x6c
    case rshK = 0x74
    case rshX = 0x7c
    case neg = 0x84
    case modK = 0x94
    case modX = 0x9c
    case xorK = 0xa4
    case xorX = 0xac
    case ja = 0x05
    case jeqK = 0x15
    case jeqX = 0x1d
    case jgtK = 0x25
    case jgtX = 0x2d
    case jgeK = 0x35
    case jgeX = 0x3d
    case jsetK = 0x45
    case jsetX = 0x4d
    case retK = 0x06
    case retA = 0x16
    case tax = 0x07
    case txa = 0x87
}
