import Glibc

/// The nanoseconds of the processor's time that each of `count` lookups takes: the median of seven rounds.
@inline(__always)
func nanoseconds(count: Int, _ lookup: (Int) -> Int) -> Double {
    var times: [Double] = []
    for _ in 0..<7 {
        let start = processorTime
        var sum = 0
        for index in 0..<count { sum &+= lookup(index) }
        times.append((processorTime - start) / Double(count))
        // What is never true keeps the lookups from being left out.
        if sum == .min { print(sum) }
    }
    return times.sorted()[3]
}

/// The processor's time that this thread has had, in nanoseconds: what else the machine does counts less.
var processorTime: Double {
    var time = timespec()
    unsafe clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
    return Double(time.tv_sec) * 1e9 + Double(time.tv_nsec)
}

enum Report {
    static func row(_ name: String, _ nanoseconds: Double, baseline: Double, most: Double? = nil) {
        let padding = String(repeating: " ", count: max(1, 62 - name.count))
        let verdict = most.map { ", at most \(Int($0)) ns  \(nanoseconds <= $0 ? "ok" : "OVER")" } ?? ""
        print("\(name)\(padding)\(text(nanoseconds)) ns, ratio \(text(nanoseconds / baseline))\(verdict)")
    }

    static func text(_ value: Double) -> String {
        let hundredths = Int((value * 100).rounded())
        return "\(hundredths / 100).\(hundredths % 100 < 10 ? "0" : "")\(hundredths % 100)"
    }

    /// The memory that the program has in use now, as the kernel counts it.
    static var residentBytes: Int {
        guard let file = unsafe fopen("/proc/self/statm", "r") else { return 0 }
        defer { unsafe fclose(file) }
        var pages: (Int, Int) = (0, 0)
        let read = unsafe withUnsafeMutablePointer(to: &pages.0) { first in
            unsafe withUnsafeMutablePointer(to: &pages.1) { second in
                unsafe withVaList([first, second]) { unsafe vfscanf(file, "%ld %ld", $0) }
            }
        }
        return read == 2 ? pages.1 * 4096 : 0
    }
}
