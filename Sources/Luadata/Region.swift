/// Memory that a filter function gets to look at; it must stay for the time of the call.
@unsafe public struct Region {
    /// The bytes.
    public var bytes: UnsafeMutableRawBufferPointer
    /// Whether the function may change them; if not, a write to a field is an error of the script's.
    public var isWritable: Bool
    /// The layout that its view has from the start, prepared by the state that is called.
    public var layout: PreparedLayout?
    /// The places that the layout's fields count from, in bytes from the start of the region and inside it.
    ///
    /// The first is the start itself, whatever it says.
    public var marks: [4 of Int32]

    /// A region over some bytes.
    @inlinable public init(
        _ bytes: UnsafeMutableRawBufferPointer, isWritable: Bool, layout: PreparedLayout? = nil,
        marks: [4 of Int32] = [0, 0, 0, 0]
    ) {
        unsafe self.bytes = unsafe bytes
        unsafe self.isWritable = isWritable
        unsafe self.layout = layout
        unsafe self.marks = marks
    }
}
