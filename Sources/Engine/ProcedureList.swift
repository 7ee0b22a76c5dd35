import ConfigLanguage
import Procedures
import Ruleset

/// A configuration's procedures as one worker runs them.
@safe
struct ProcedureList: ~Copyable {
    /// What is to be known of a procedure besides its steps.
    struct Facts: BitwiseCopyable {
        /// The number of its first script among those of all procedures.
        var firstScript: Int32 = 0
        /// The first rule that applies it, whose scripts serve connections that outlived their rules; 0 for none.
        var firstRule: Int32 = 0
        /// Whether other steps stand beside a script: then what a failed script has changed is undone.
        var isMixed = false
        /// Whether a packet may be changed that its sender is then told about.
        var mayChange = false
    }

    /// What is to be known of a script call besides its script.
    struct CallFacts: BitwiseCopyable {
        /// Whether the script wants packets with payload alone.
        var payloadOnly = false
        /// What the script looks at of a direction of a flow before the flow is passed; 0 for all of it.
        var inspectionLimit: UInt32 = 0
        /// Whether packets with payload are counted to that, and not their bytes.
        var countsPackets = false
        /// What tells the kernel that the call has passed a connection; 0 where nothing does.
        var passedMark: UInt32 = 0
    }

    private let steps: UnsafeMutablePointer<ProcedureSteps>
    private let facts: UnsafeMutablePointer<Facts>
    private let calls: UnsafeMutablePointer<CallFacts>
    private let count: Int

    /// - Parameter workers: how many share the packets, and so the rates.
    init(_ configuration: LoadedConfiguration, seed: UInt64, workers: Int) {
        let procedures = configuration.ruleset.procedures
        count = procedures.count
        unsafe steps = .allocate(capacity: max(count, 1))
        unsafe facts = .allocate(capacity: max(count, 1))
        let scripts = procedures.flatMap { procedure in procedure.scripts.map { (procedure.name, $0) } }
        unsafe calls = .allocate(capacity: max(scripts.count, 1))
        for (place, (name, script)) in scripts.enumerated() {
            unsafe (calls + place).initialize(
                to: CallFacts(
                    payloadOnly: script.payloadOnly, inspectionLimit: UInt32(script.inspection?.amount ?? 0),
                    countsPackets: script.inspection?.unit == .packets,
                    passedMark: configuration.flowMarks.passed[name] ?? 0))
        }
        var firstScript: Int32 = 0
        for (index, procedure) in procedures.enumerated() {
            let ready = configuration.steps[index]
            unsafe (steps + index).initialize(
                to: ProcedureSteps(ready, seed: seed &+ UInt64(index), workers: workers))
            let firstRule = configuration.ruleset.rules.firstIndex { $0.procedure == index } ?? 0
            unsafe (facts + index).initialize(
                to: Facts(
                    firstScript: firstScript, firstRule: Int32(firstRule),
                    isMixed: ready.count > 1 && !procedure.scripts.isEmpty,
                    mayChange: procedure.scripts.contains { $0.mayEdit } || ready.count > procedure.scripts.count))
            firstScript += Int32(procedure.scripts.count)
        }
    }

    deinit {
        unsafe steps.deinitialize(count: count)
        unsafe steps.deallocate()
        unsafe facts.deallocate()
        unsafe calls.deallocate()
    }

    @inline(__always)
    func steps(of procedure: Int32) -> UnsafeMutablePointer<ProcedureSteps> { unsafe steps + Int(procedure) }

    @inline(__always)
    func facts(of procedure: Int32) -> Facts { unsafe facts[Int(procedure)] }

    @inline(__always)
    func facts(ofCall call: Int32) -> CallFacts { unsafe calls[Int(call)] }
}

extension ProcedureStep {
    /// Files that the procedures of a configuration log to; each is held open.
    private static let maximumLogFiles = 256

    /// A call of the language as a step.
    ///
    /// - Parameters:
    ///   - scripts: how many scripts the procedure has called so far.
    ///   - logFiles: the files that procedures log to, by their places; a new one is appended.
    init(_ call: Procedure.Call, scripts: inout Int, logFiles: inout [String]) throws(Diagnostic) {
        let location: SourceLocation
        do throws(ParameterError) {
            switch call {
            case .script:
                self = .script(scripts)
                scripts += 1
                return
            case .log(let call):
                location = call.location
                let file = try LogParameters(file: call.file).file
                let place = logFiles.firstIndex(of: file) ?? logFiles.count
                if place == logFiles.count { logFiles.append(file) }
                self = .log(file: place)
            case .normalize(let call):
                location = call.location
                self = .normalize(
                    try NormalizeParameters(
                        randomID: call.randomizesIdentification, noDF: call.clearsDontFragment,
                        minimumTTL: Int(call.minimumTTL ?? 0), maximumMSS: Int(call.maximumSegmentSize ?? 0)))
            case .randomBlock(let call):
                location = call.location
                switch call.choice {
                case .every(let number): self = .randomBlock(try RandomBlockParameters(modulus: number))
                case .share(let hundredths): self = .randomBlock(try RandomBlockParameters(hundredths: hundredths))
                }
            case .rateLimit(let call):
                location = call.location
                self = .rateLimit(
                    try RateLimitParameters(
                        bitrate: call.bitrate, normalBurst: call.normalBurst, extendedBurst: call.extendedBurst))
            }
        } catch {
            throw Diagnostic(at: location, error.description)
        }
        guard logFiles.count <= Self.maximumLogFiles else {
            throw Diagnostic(
                at: location, "procedures log to at most \(Self.maximumLogFiles) files: expected one of those before")
        }
    }
}
