import Glibc
import LuaRuntime
import Luadata
import Testing

@Suite struct AllocationTests {
    /// What a hundred thousand calls allocate is Lua's, and comes back.
    ///
    /// In a process of its own, as the heap is shared.
    @Test func filteringLeavesTheHeapAsItWas() async {
        await #expect(processExitsWith: .success) {
            var filter = try Filter(
                """
                local l = data.layout{version = {0, 4}, ttl = {64, 8}, name = {96, 32}}
                function filter(header, payload)
                  header:layout(l)
                  header.ttl = header.ttl + 1
                  local s = payload:segment(0, 4)
                  return header.version == 4 and header.name == 0x40404040 and tostring(s) == 'load'
                end
                """)
            var bytes = [UInt8](repeating: 0x40, count: 20) + Array("load".utf8)
            let function = filter.function
            unsafe bytes.withUnsafeMutableBytes { bytes in
                let header = unsafe Region(UnsafeMutableRawBufferPointer(rebasing: bytes[..<20]), isWritable: true)
                let payload = unsafe Region(UnsafeMutableRawBufferPointer(rebasing: bytes[20...]), isWritable: false)
                for _ in 1...1000 { _ = unsafe filter.state.filter(function, header, payload) }
                filter.state.collectGarbage()
                let lua = filter.state.memoryInUse
                let process = Heap.bytesInUse()
                for _ in 1...100_000 {
                    let result = unsafe filter.state.filter(function, header, payload)
                    guard result == FilterResult(answer: .keep, changed: true) else { exit(2) }
                }
                filter.state.collectGarbage()
                guard filter.state.memoryInUse == lua else { exit(3) }
                // A leak of the smallest block in each call would be 3 MB.
                guard Heap.bytesInUse() < process + 100_000 else { exit(4) }
            }
        }
    }
}

private enum Heap {
    /// Bytes that malloc has handed out: what it got from the system but for what is free.
    static func bytesInUse() -> Int {
        typealias MallocInfo = @convention(c) (CInt, UnsafeMutablePointer<FILE>?) -> CInt
        let symbol = unsafe dlsym(nil, "malloc_info")!
        let mallocInfo = unsafe unsafeBitCast(symbol, to: MallocInfo.self)
        var text: UnsafeMutablePointer<CChar>?
        var size = 0
        let file = unsafe open_memstream(&text, &size)
        _ = unsafe mallocInfo(0, file)
        unsafe fclose(file)
        defer { unsafe free(text) }
        let totals = unsafe String(cString: text!).split(separator: "</heap>").last ?? ""
        var bytes = 0
        for line in totals.split(separator: "\n") {
            guard let quoted = line.split(separator: "size=\"").last?.prefix(while: { $0 != "\"" }),
                let count = Int(quoted)
            else { continue }
            if line.hasPrefix("<system type=\"current\"") || line.hasPrefix("<total type=\"mmap\"") { bytes += count }
            if line.hasPrefix("<total type=\"fast\"") || line.hasPrefix("<total type=\"rest\"") { bytes -= count }
        }
        return bytes
    }
}
