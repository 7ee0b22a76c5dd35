internal import CPcap
internal import Glibc

/// The functions of libpcap that compile expressions, found when the first one is to be compiled.
///
/// Linked in the ordinary way, libpcap would bring libdbus, libsystemd and libgcrypt into programs that hardly ever need it.
@unsafe
struct PcapLibrary: Sendable {
    typealias OpenDead = @convention(c) (CInt, CInt) -> OpaquePointer?
    typealias Close = @convention(c) (OpaquePointer) -> Void
    typealias Compile =
        @convention(c) (
            OpaquePointer, UnsafeMutablePointer<bpf_program>, UnsafePointer<CChar>, CInt, bpf_u_int32
        ) -> CInt
    typealias FreeCode = @convention(c) (UnsafeMutablePointer<bpf_program>) -> Void
    typealias Message = @convention(c) (OpaquePointer) -> UnsafePointer<CChar>

    let openDead: OpenDead
    let close: Close
    let compile: Compile
    let freeCode: FreeCode
    let message: Message

    /// The library; nil where it is not installed.
    static let shared = unsafe PcapLibrary()

    private init?() {
        guard let library = unsafe dlopen("libpcap.so.0.8", RTLD_NOW | RTLD_LOCAL),
            let openDead = unsafe dlsym(library, "pcap_open_dead"), let close = unsafe dlsym(library, "pcap_close"),
            let compile = unsafe dlsym(library, "pcap_compile"),
            let freeCode = unsafe dlsym(library, "pcap_freecode"), let message = unsafe dlsym(library, "pcap_geterr")
        else { return nil }
        unsafe self.openDead = unsafe unsafeBitCast(openDead, to: OpenDead.self)
        unsafe self.close = unsafe unsafeBitCast(close, to: Close.self)
        unsafe self.compile = unsafe unsafeBitCast(compile, to: Compile.self)
        unsafe self.freeCode = unsafe unsafeBitCast(freeCode, to: FreeCode.self)
        unsafe self.message = unsafe unsafeBitCast(message, to: Message.self)
    }
}
