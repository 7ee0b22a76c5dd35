internal import Glibc

/// The name of a network interface, at most 15 bytes, without an allocation.
public struct InterfaceName: BitwiseCopyable, Sendable, Hashable, CustomStringConvertible {
    /// The bytes, each in its place, then zeros.
    private var low: UInt64 = 0
    private var high: UInt64 = 0

    /// The empty name.
    public init() {}

    /// The name as it is written, cut to 15 bytes.
    public init(_ text: String) {
        unsafe Swift.withUnsafeMutableBytes(of: &self) { bytes in
            unsafe bytes.copyBytes(from: text.utf8.prefix(15))
        }
    }

    /// The name as text.
    public var description: String {
        unsafe withUnsafeBytes { unsafe String(decoding: $0, as: UTF8.self) }
    }

    /// Calls `body` with the name's bytes, without the final zero.
    public func withUnsafeBytes<Result, Failure: Error>(
        _ body: (UnsafeRawBufferPointer) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        try unsafe Swift.withUnsafeBytes(of: self) { bytes throws(Failure) in
            let length = unsafe bytes.firstIndex(of: 0) ?? bytes.count
            return try unsafe body(UnsafeRawBufferPointer(rebasing: bytes[..<length]))
        }
    }
}

/// The interfaces of the calling thread's network namespace.
public enum Interfaces {
    /// The name of the interface with the number `index`; nil: there is none.
    ///
    /// Two system calls, no allocation.
    public static func name(index: UInt32) -> InterfaceName? {
        var name = InterfaceName()
        let found = unsafe withUnsafeMutableBytes(of: &name) { bytes in
            unsafe if_indextoname(index, bytes.assumingMemoryBound(to: CChar.self).baseAddress!) != nil
        }
        return found ? name : nil
    }

    /// The number of the interface `name`; nil: there is none.
    public static func index(name: String) -> UInt32? {
        let index = unsafe if_nametoindex(name)
        return index == 0 ? nil : index
    }

    /// The IPv4 and IPv6 addresses of the interface `name`, each the 4 or 16 bytes that it has on the wire; none where
    /// there is no such interface (rtnetlink(7), RTM_GETADDR).
    public static func addresses(of name: String) -> [[UInt8]] {
        var list: UnsafeMutablePointer<ifaddrs>?
        guard unsafe getifaddrs(&list) == 0 else { return [] }
        defer { unsafe freeifaddrs(list) }
        var addresses: [[UInt8]] = []
        var next = unsafe list
        while let entry = unsafe next {
            unsafe next = entry.pointee.ifa_next
            // An IPv4 address may have a label, which is the interface's name, a colon and more.
            let label = unsafe String(cString: entry.pointee.ifa_name).prefix { $0 != ":" }
            guard label == name, let address = unsafe entry.pointee.ifa_addr else { continue }
            let bytes = UnsafeRawPointer(address)
            switch CInt(unsafe address.pointee.sa_family) {
            case AF_INET: unsafe addresses.append(bytes.bytes(at: MemoryLayout<sockaddr_in>.offset(of: \.sin_addr)!, 4))
            case AF_INET6:
                unsafe addresses.append(bytes.bytes(at: MemoryLayout<sockaddr_in6>.offset(of: \.sin6_addr)!, 16))
            default: continue
            }
        }
        return addresses
    }
}

extension UnsafeRawPointer {
    fileprivate func bytes(at offset: Int, _ count: Int) -> [UInt8] {
        unsafe Array(UnsafeRawBufferPointer(start: self + offset, count: count))
    }
}
