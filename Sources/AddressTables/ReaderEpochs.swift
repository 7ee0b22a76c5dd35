import Synchronization

/// Tells when memory that was taken out of a table is read by nobody any more.
///
/// Whoever reads tables without their lock, a worker, has a `Reader` and says between two batches of packets that it
/// holds nothing of them. A writer unlinks, notes the epoch, and frees what it unlinked once every reader was seen
/// outside or in a later epoch (K. Fraser: "Practical lock-freedom", 2004, section 5.2.3). Readers neither wait nor
/// write where another reader reads or writes.
@safe
public final class ReaderEpochs: Sendable {
    /// What a reader says of itself, in cache lines of its own, two because processors fetch them in pairs.
    private struct Place: ~Copyable {
        /// The epoch in which the reader went inside; 0 while it is outside.
        let epoch = Atomic<UInt64>(0)
        let isTaken = Atomic<Bool>(false)
    }

    private static let placeSize = 128

    private let current = Atomic<UInt64>(1)
    private nonisolated(unsafe) let places: UnsafeMutableRawPointer
    private let maximumReaders: Int
    /// The places that ever had a reader: a writer looks at no more.
    private let placesUsed = Atomic<Int>(0)

    /// Makes room for so many readers at a time.
    public init(maximumReaders: Int = 64) {
        self.maximumReaders = maximumReaders
        unsafe places = .allocate(byteCount: maximumReaders * Self.placeSize, alignment: Self.placeSize)
        for index in 0..<maximumReaders { unsafe place(index).initialize(to: Place()) }
    }

    deinit {
        unsafe places.deallocate()
    }

    private func place(_ index: Int) -> UnsafeMutablePointer<Place> {
        unsafe (places + index &* Self.placeSize).assumingMemoryBound(to: Place.self)
    }

    /// A new reader, outside; nil if there are as many as there may be.
    public func register() -> Reader? {
        for index in 0..<maximumReaders
        where unsafe place(index).pointee.isTaken
            .compareExchange(expected: false, desired: true, ordering: .acquiringAndReleasing).exchanged
        {
            placesUsed.max(index + 1, ordering: .sequentiallyConsistent)
            return Reader(epochs: self, index: index)
        }
        return nil
    }

    /// Begins a new epoch: readers that go inside from now on see everything that was written before.
    ///
    /// - Returns: the epoch that ended, for `havePassed`.
    func advance() -> UInt64 {
        current.wrappingAdd(1, ordering: .sequentiallyConsistent).oldValue
    }

    /// Whether no reader is inside since an epoch or longer.
    func havePassed(_ epoch: UInt64) -> Bool {
        atomicMemoryFence(ordering: .sequentiallyConsistent)
        for index in 0..<placesUsed.load(ordering: .acquiring) {
            let seen = unsafe place(index).pointee.epoch.load(ordering: .acquiring)
            if seen != 0 && seen <= epoch { return false }
        }
        return true
    }

    /// One thread that reads tables.
    ///
    /// While it is inside, what it found stays in place; a reader that blocks must be outside, or nothing is ever freed.
    @safe
    public struct Reader: ~Copyable, Sendable {
        private let epochs: ReaderEpochs
        private let index: Int

        fileprivate init(epochs: ReaderEpochs, index: Int) {
            self.epochs = epochs
            self.index = index
        }

        deinit {
            leave()
            unsafe epochs.place(index).pointee.isTaken.store(false, ordering: .releasing)
        }

        /// Goes inside: before the first lookup of a batch.
        public func enter() {
            let epoch = epochs.current.load(ordering: .acquiring)
            unsafe epochs.place(index).pointee.epoch.store(epoch, ordering: .relaxed)
            // Either a writer sees this reader, or this reader sees what the writer has unlinked.
            atomicMemoryFence(ordering: .sequentiallyConsistent)
        }

        /// Goes outside: after the last lookup of a batch.
        public func leave() {
            unsafe epochs.place(index).pointee.epoch.store(0, ordering: .releasing)
        }
    }
}
