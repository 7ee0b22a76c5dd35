package import Packet

/// A network on its way into a `PrefixSet`, with its value's number.
///
/// Entries are sorted in place, one after the other, so that whoever has them sorted can stop in between.
package struct PrefixEntry: BitwiseCopyable {
    package let prefix: Packet.Prefix
    /// The number of its value, from 1 on.
    package let value: UInt32
    /// Whether it comes from a list: its value is its own text, so another one of the same network says nothing new.
    package let isListed: Bool

    /// An entry.
    package init(_ prefix: Packet.Prefix, value: UInt32, isListed: Bool) {
        self.prefix = prefix
        self.value = value
        self.isListed = isListed
    }

    /// By address, then the shorter network first; of one network's entries those that are not listed first.
    private static func precedes(_ a: PrefixEntry, _ b: PrefixEntry) -> Bool {
        if a.prefix.address != b.prefix.address { return a.prefix.address < b.prefix.address }
        if a.prefix.length != b.prefix.length { return a.prefix.length < b.prefix.length }
        if a.isListed != b.isListed { return b.isListed }
        return a.value < b.value
    }

    /// Puts an entry behind the first `count`, which are a heap, and makes it part of that.
    package static func push(_ entry: PrefixEntry, onto heap: UnsafeMutablePointer<PrefixEntry>, count: Int) {
        var place = count
        while place > 0, unsafe precedes(heap[(place - 1) / 2], entry) {
            unsafe heap[place] = heap[(place - 1) / 2]
            place = (place - 1) / 2
        }
        unsafe heap[place] = entry
    }

    /// Moves the largest of the first `count` entries, which are a heap, to their end; the others are a heap again.
    package static func popLargest(of heap: UnsafeMutablePointer<PrefixEntry>, count: Int) {
        let last = count - 1
        guard last > 0 else { return }
        let entry = unsafe heap[last]
        unsafe heap[last] = heap[0]
        var place = 0
        while 2 * place + 1 < last {
            var child = 2 * place + 1
            if child + 1 < last, unsafe precedes(heap[child], heap[child + 1]) { child += 1 }
            guard unsafe precedes(entry, heap[child]) else { break }
            unsafe heap[place] = heap[child]
            place = child
        }
        unsafe heap[place] = entry
    }

    /// The first of the sorted entries whose network is already that of another, unless it is listed.
    package static func repeated(in entries: UnsafeBufferPointer<PrefixEntry>) -> PrefixEntry? {
        for index in entries.indices.dropFirst() {
            let entry = unsafe entries[index]
            if !entry.isListed, unsafe entries[index - 1].prefix == entry.prefix { return entry }
        }
        return nil
    }
}
