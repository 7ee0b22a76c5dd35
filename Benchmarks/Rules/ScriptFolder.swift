import Glibc
import LuaRuntime

/// The scripts that are measured, in a folder of their own.
struct ScriptFolder {
    /// What each script does, its file, and its text.
    static let scripts: [(name: String, file: String, text: String)] = [
        ("returns true", "true.lua", "function filter(hdr, pld) return true end"),
        (
            "looks for an SSH banner in a segment", "segment.lua",
            """
            function filter(hdr, pld)
              local seg = pld:segment(0, 255)
              local software = tostring(seg):match('SSH%-[^-%G]+%-([^-%G]+)')
              return software ~= 'OpenSSH_6.4'
            end
            """
        ),
        (
            "looks for it in the payload's memory", "payload.lua",
            """
            function filter(hdr, pld)
              return pld:match('SSH%-[^-%G]+%-([^-%G]+)') ~= 'OpenSSH_6.4'
            end
            """
        ),
    ]

    let directory: ScriptDirectory
    private let path: String

    /// Makes the folder and its files.
    init(at path: String) {
        self.path = path
        directory = ScriptDirectory(path: path)
        unsafe mkdir(path, 0o700)
        for script in Self.scripts {
            guard let file = unsafe fopen("\(path)/\(script.file)", "w") else { fatalError("cannot write to \(path)") }
            unsafe fputs(script.text, file)
            unsafe fclose(file)
        }
    }

    /// Removes the folder.
    func remove() {
        for script in Self.scripts { unsafe unlink("\(path)/\(script.file)") }
        unsafe rmdir(path)
    }
}
