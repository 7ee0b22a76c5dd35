import Synchronization

/// The modules that scripts have loaded from their directory, with what was in them.
public final class LoadedModules: Sendable {
    /// A hash of each module's text, by its file name.
    private let hashes = Mutex<[String: Int]>([:])

    /// None.
    public init() {}

    /// Whether all of them are in the directory as they were when they were loaded.
    public func areUnchanged(in directory: ScriptDirectory) -> Bool {
        hashes.withLock { $0 }.allSatisfy { (try? directory.script($0.key))?.hashValue == $0.value }
    }

    func note(_ file: String, _ text: [UInt8]) {
        hashes.withLock { $0[file] = text.hashValue }
    }
}
