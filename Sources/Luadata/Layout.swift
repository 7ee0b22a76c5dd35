import CLuaShim
import Glibc
public import LuaRuntime

/// Names for parts of memory, that the host gives to scripts.
public struct Layout: Sendable, Hashable {
    /// A part of memory and its name.
    public struct Field: Sendable, Hashable {
        /// What a field holds.
        public enum Content: Sendable, Hashable {
            /// A number of 1 to 64 bits, in network order, so many bits behind the mark.
            case number(offset: Int, width: Int)
            /// Bytes, so many behind the mark.
            case string(offset: Int, length: Int)
            /// The bytes from so many behind the mark up to another mark.
            case rest(offset: Int, upTo: Int)
        }

        /// What scripts call it: 40 bytes at most, and no method of Luadata's.
        public var name: String
        /// The index, in a region's marks, of the place that it counts from.
        public var mark: Int
        /// Where it lies, and what it holds.
        public var content: Content

        /// A field; mark 0 is the start of the memory.
        public init(_ name: String, mark: Int = 0, _ content: Content) {
            self.name = name
            self.mark = mark
            self.content = content
        }
    }

    /// The name in the module of layouts.
    public var name: String
    /// The fields, each of a name of its own.
    public var fields: [Field]

    /// A layout.
    public init(name: String, fields: [Field]) {
        self.name = name
        self.fields = fields
    }
}

/// A layout that a state has compiled for the regions that it is called with.
@safe public struct PreparedLayout {
    /// The layout of the C shim, which lives as long as the state.
    let shim: OpaquePointer

    init(_ shim: OpaquePointer) {
        unsafe self.shim = unsafe shim
    }
}

/// Layouts that scripts can `require`.
///
/// States point into it, so it stays for the life of the process: make one of each kind, in a `static let`.
@safe public struct LayoutLibrary: @unchecked Sendable {
    /// The layouts, none of whose fields counts from a mark.
    public let layouts: [Layout]
    private let table: UnsafeMutableBufferPointer<ls_named_layout>

    /// Keeps layouts for scripts.
    public init(_ layouts: [Layout]) {
        self.layouts = layouts
        unsafe table = .allocate(capacity: layouts.count)
        for (index, layout) in layouts.enumerated() {
            unsafe table.initializeElement(
                at: index,
                to: ls_named_layout(
                    name: strdup(layout.name), fields: UnsafePointer(layout.allocateFields().baseAddress),
                    count: CInt(layout.fields.count)))
        }
    }
}

extension Layout {
    /// The fields as the shim has them, for the caller to deallocate, with names to free.
    fileprivate func allocateFields() -> UnsafeMutableBufferPointer<ls_field> {
        let table = UnsafeMutableBufferPointer<ls_field>.allocate(capacity: fields.count)
        for (index, field) in fields.enumerated() { unsafe table.initializeElement(at: index, to: ls_field(field)) }
        return unsafe table
    }
}

extension ls_field {
    fileprivate init(_ field: Layout.Field) {
        let (offset, length, end, isString) =
            switch field.content {
            case .number(let offset, let width): (offset, width, 0, false)
            case .string(let offset, let length): (offset, length, 0, true)
            case .rest(let offset, let mark): (offset, 0, mark, true)
            }
        unsafe self.init(
            name: strdup(field.name), offset: Int64(offset), length: Int64(length), mark: UInt8(field.mark),
            end: UInt8(end), is_string: isString, little_endian: false)
    }
}

extension LuaState {
    /// Lets scripts `require` a module: a table of layouts by their names, which is the state's own.
    public mutating func installLayouts(_ library: LayoutLibrary, module: String) {
        unsafe library.open(shim, module)
    }

    /// Compiles a layout for regions that this state is called with.
    public mutating func prepare(_ layout: Layout) -> PreparedLayout {
        let fields = unsafe layout.allocateFields()
        defer {
            for index in fields.indices { unsafe free(UnsafeMutableRawPointer(mutating: fields[index].name)) }
            unsafe fields.deallocate()
        }
        return unsafe PreparedLayout(ls_prepare_layout(shim, fields.baseAddress, CInt(fields.count)))
    }

    /// Compiles the layout at an index of a library, which allocates in Lua's own memory alone.
    public mutating func prepare(_ library: LayoutLibrary, at index: Int) -> PreparedLayout {
        unsafe PreparedLayout(library.prepare(shim, index))
    }
}

extension LayoutLibrary {
    fileprivate func open(_ shim: OpaquePointer, _ module: String) {
        unsafe ls_open_layouts(shim, module, table.baseAddress, CInt(table.count))
    }

    fileprivate func prepare(_ shim: OpaquePointer, _ index: Int) -> OpaquePointer {
        unsafe ls_prepare_layout(shim, table[index].fields, table[index].count)
    }
}
