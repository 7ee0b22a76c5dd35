import CLuaShim

extension ls_data_operations {
    /// The bounds and bits of Luadata.
    ///
    /// The shim calls them with memory that is valid for as many bytes as it says, never with a null pointer.
    static var luadata: ls_data_operations {
        unsafe ls_data_operations(read: readNumber, write: writeNumber, extent: findExtent)
    }
}

extension BitField {
    @inline(__always)
    fileprivate init(_ field: ls_field) {
        unsafe self.init(offset: field.offset, width: field.length, isLittleEndian: field.little_endian)
    }
}

@c private func readNumber(
    _ bytes: UnsafePointer<UInt8>?, _ length: Int64, _ field: UnsafePointer<ls_field>?
) -> ls_number {
    let field = unsafe BitField(field.unsafelyUnwrapped.pointee)
    guard let value = unsafe field.read(bytes.unsafelyUnwrapped, length: length) else {
        return ls_number(value: 0, present: 0)
    }
    return ls_number(value: value, present: 1)
}

@c private func writeNumber(
    _ bytes: UnsafeMutablePointer<UInt8>?, _ length: Int64, _ field: UnsafePointer<ls_field>?, _ value: Int64
) -> Bool {
    unsafe BitField(field.unsafelyUnwrapped.pointee).write(value, to: bytes.unsafelyUnwrapped, length: length)
}

/// Bytes of an object: the first must be one of its own, and all must lie inside.
@c private func findExtent(_ length: Int64, _ offset: Int64, _ count: Int64) -> ls_extent {
    guard offset >= 0, offset < length, count >= 0, count <= length &- offset else {
        return ls_extent(offset: 0, length: -1)
    }
    return ls_extent(offset: offset, length: count)
}
