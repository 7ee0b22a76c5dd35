import ConfigLanguage
import ConnectionTracking
import Logging
import SystemSupport

// What the kernel was told of decided flows, and is to forget. Connections that are marked pass or are blocked without
// being seen, so a mark must not outlive what it means.
extension Daemon {
    /// Makes the kernel forget what a daemon before this one has told.
    ///
    /// - Returns: why it cannot: then decided flows are better not told.
    static func forgetMarks(of configuration: LoadedConfiguration, logger: Logger) -> Errno? {
        let mask = configuration.flowMarks.mask
        do throws(Errno) {
            guard mask != 0 else { return nil }
            let marks = try ConnectionMarks()
            let shift = UInt32(mask.trailingZeroBitCount)
            // The kernel finds one value by itself; of many it had better list all connections once.
            let values: [UInt32?] = mask >> shift == 3 ? [1 << shift, 2 << shift, 3 << shift] : [nil]
            var count = 0
            for value in values { count += try marks.clear(value, in: mask) }
            if count > 0 { logger.notice("connections that had been decided are looked at anew: \(count)") }
            return nil
        } catch {
            return error
        }
    }

    /// A configuration without the marks that the kernel is not to be told by.
    ///
    /// Of rules that the daemon does not install it cannot know that they take marks over.
    static func withMarks(_ configuration: LoadedConfiguration, if tellsKernel: Bool) -> LoadedConfiguration {
        tellsKernel && configuration.installsKernelRules ? configuration : configuration.withoutFlowMarks()
    }

    /// Makes the kernel forget what `new` does not stand by, before anything of that is put in place.
    ///
    /// The workers tell nothing more until they have the new configuration: so no connection has a mark that means something
    /// else there, not for a moment.
    ///
    /// - Returns: what was forgotten, none for nothing; if there was something, the workers wait.
    func takeBackMarks(before new: LoadedConfiguration) throws -> [StaleMark] {
        let continuity = FlowContinuity(from: configuration, to: new)
        var stale = continuity.staleMarks.map { StaleMark(value: $0, mask: continuity.formerMask) }
        let (former, mask) = (configuration.flowMarks.mask, new.flowMarks.mask)
        // What others have left in the new bits, a daemon before this one among them.
        if mask != former && mask != 0 { stale.append(StaleMark(value: nil, mask: mask)) }
        guard !stale.isEmpty else { return [] }
        try workers.perform { _ in unsafe Errand { filter in unsafe filter.pointee.tellsKernel = false } }
        do throws(Errno) {
            try forget(stale)
            return stale
        } catch {
            resumeMarks()
            throw SystemError("the connections that scripts have decided cannot be changed: \(error)", code: error)
        }
    }

    /// Makes the kernel forget marks.
    ///
    /// A connection whose first packet still waits in a queue is not listed: so this is done once more when the workers
    /// have the new configuration.
    func forget(_ stale: [StaleMark]) throws(Errno) {
        guard !stale.isEmpty else { return }
        let marks = try ConnectionMarks()
        for mark in stale {
            let count = try marks.clear(mark.value, in: mark.mask)
            workers.all[0].place.totals.flowsTakenBack.add(UInt64(count))
        }
    }

    /// Lets the workers tell the kernel again, where the running configuration stays.
    func resumeMarks() {
        try? workers.perform { _ in unsafe Errand { filter in unsafe filter.pointee.tellsKernel = true } }
    }
}

/// A value of connections' marks that means nothing any more.
struct StaleMark {
    /// The value; nil for all.
    var value: UInt32?
    /// Where it stands.
    var mask: UInt32
}
