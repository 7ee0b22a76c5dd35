internal import Glibc
internal import SystemSupport

/// Zeroed memory straight from the system: a page costs nothing until it is first touched.
@safe
struct MappedMemory: ~Copyable {
    let bytes: UnsafeMutableRawBufferPointer

    init(size: Int) throws(PacketQueueError) {
        let start = unsafe mmap(nil, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
        guard let start = unsafe start, unsafe start != MAP_FAILED else { throw PacketQueueError(memory: .current) }
        unsafe bytes = UnsafeMutableRawBufferPointer(start: start, count: size)
    }

    deinit {
        unsafe munmap(bytes.baseAddress, bytes.count)
    }
}
