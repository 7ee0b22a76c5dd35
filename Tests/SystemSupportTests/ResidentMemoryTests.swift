import Foundation
import SystemSupport
import Testing

@Suite struct ResidentMemoryTests {
    /// The program's segment of code: its addresses, and the KiB of it that are mapped.
    private func code() throws -> (addresses: Range<UInt>, mapped: Int) {
        let program = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
        let lines = try String(contentsOfFile: "/proc/self/smaps", encoding: .utf8).split(separator: "\n")
        let begin = try #require(lines.firstIndex { $0.contains(" r-xp ") && $0.hasSuffix(" \(program)") })
        let bounds = lines[begin].prefix { $0 != " " }.split(separator: "-").compactMap { UInt($0, radix: 16) }
        let mapped = try #require(lines[begin...].first { $0.hasPrefix("Rss:") })
        return (bounds[0]..<bounds[1], try #require(Int(mapped.filter(\.isNumber))))
    }

    @Test func codeThatIsNotUsedIsNotHeld() throws {
        let addresses = try code().addresses
        var sum = 0
        for address in stride(from: addresses.lowerBound, to: addresses.upperBound, by: 4096) {
            sum &+= Int(unsafe UnsafePointer<UInt8>(bitPattern: address)!.pointee)
        }
        #expect(sum != 0)
        let before = try code().mapped
        #expect(before * 1024 >= addresses.count * 9 / 10)
        ResidentMemory.giveBack()
        let after = try code().mapped
        #expect(after < before / 2, "\(before) KiB before, \(after) after")
    }
}
