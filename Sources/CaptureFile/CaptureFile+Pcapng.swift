extension CaptureFile {
    /// The type of a section header block, which reads the same in both byte orders.
    static let sectionHeaderType: [UInt8] = [0x0a, 0x0d, 0x0d, 0x0a]

    /// Reads a block; nil if it holds no packet.
    mutating func readBlock(_ reader: inout ByteReader) throws(CaptureFileError) -> CaptureRecord? {
        let isSectionHeader = bytes[reader.start...].starts(with: Self.sectionHeaderType)
        if isSectionHeader { reader.isBigEndian = try sectionIsBigEndian(reader) }
        let type = try reader.read(UInt32.self)
        let length = try Int(reader.read(UInt32.self))
        guard length >= 12, length % 4 == 0 else {
            throw reader.fault("a block of \(length) bytes cannot be: the file is damaged here")
        }
        let content = try reader.take(length - 8)
        var closing = reader.part((content.upperBound - 4)..<content.upperBound)
        let closingLength = try Int(closing.read(UInt32.self))
        guard closingLength == length else {
            throw reader.fault(
                "this block's two lengths, \(length) and \(closingLength), differ: the file is damaged here")
        }

        var block = reader.part(content.lowerBound..<(content.upperBound - 4))
        if isSectionHeader {
            try readSectionHeader(&block)
            return nil
        }
        switch type {
        case 1:
            interfaces.append(try readInterface(&block))
            return nil
        case 2:
            // The obsolete packet block: a narrower interface number, and a count of drops, begin an enhanced one.
            let interface = try Int(block.read(UInt16.self))
            _ = try block.take(2)
            return try readPacket(&block, interface: interface)
        case 3: return try readSimplePacket(&block)
        case 6:
            let interface = try Int(block.read(UInt32.self))
            return try readPacket(&block, interface: interface)
        default: return nil
        }
    }

    private func sectionIsBigEndian(_ reader: ByteReader) throws(CaptureFileError) -> Bool {
        var reader = reader
        _ = try reader.take(8)
        switch bytes[try reader.take(4)] {
        case [0x1a, 0x2b, 0x3c, 0x4d]: return true
        case [0x4d, 0x3c, 0x2b, 0x1a]: return false
        default: throw reader.fault("this section's byte-order magic is wrong: the file is damaged here")
        }
    }

    private mutating func readSectionHeader(_ block: inout ByteReader) throws(CaptureFileError) {
        _ = try block.take(4)
        let majorVersion = try block.read(UInt16.self)
        guard majorVersion == 1 else {
            throw block.fault("version \(majorVersion) of the pcapng format cannot be read, only version 1")
        }
        isBigEndian = block.isBigEndian
        interfaces = []
    }

    private func readInterface(_ block: inout ByteReader) throws(CaptureFileError) -> CaptureInterface {
        var interface = CaptureInterface(linkType: try block.read())
        _ = try block.take(2)
        interface.snapLength = try Int(block.read(UInt32.self))
        for (code, value) in try readOptions(&block) {
            var option = block.part(value)
            switch code {
            case 2: interface.name = String(decoding: bytes[value], as: UTF8.self)
            case 9: interface.ticksPerSecond = try ticksPerSecond(resolution: option.read(), block)
            case 14: interface.epoch = try Int64(bitPattern: option.read())
            default: break
            }
        }
        return interface
    }

    /// The meaning of `if_tsresol`: a negative power of 2 if its highest bit is set, else of 10.
    private func ticksPerSecond(resolution: UInt8, _ block: ByteReader) throws(CaptureFileError) -> UInt64 {
        let exponent = Int(resolution & 0x7f)
        let isBinary = resolution & 0x80 != 0
        guard exponent <= (isBinary ? 63 : 19) else {
            throw block.fault("times of a resolution of \(isBinary ? 2 : 10)^-\(exponent) seconds cannot be read")
        }
        return isBinary ? 1 << UInt64(exponent) : (0..<exponent).reduce(1) { power, _ in power * 10 }
    }

    private func readPacket(_ block: inout ByteReader, interface: Int) throws(CaptureFileError) -> CaptureRecord {
        let upperTicks = try UInt64(block.read(UInt32.self))
        let lowerTicks = try UInt64(block.read(UInt32.self))
        let capturedLength = try Int(block.read(UInt32.self))
        let originalLength = try Int(block.read(UInt32.self))
        let frame = try block.take(capturedLength)
        try block.skipPadding(after: capturedLength)
        var direction: CaptureDirection?
        var comment: Range<Int>?
        for (code, value) in try readOptions(&block) {
            switch code {
            case 1: comment = comment ?? value
            case 2:
                var flags = block.part(value)
                switch try flags.read(UInt32.self) & 3 {
                case 1: direction = .in
                case 2: direction = .out
                default: break
                }
            default: break
            }
        }
        return CaptureRecord(
            interface: interface, ticks: upperTicks << 32 | lowerTicks, frame: frame, direction: direction,
            originalLength: originalLength, comment: comment)
    }

    private func readSimplePacket(_ block: inout ByteReader) throws(CaptureFileError) -> CaptureRecord {
        let originalLength = try Int(block.read(UInt32.self))
        // Such a block does not say how much was captured: all, or what the interface cuts its frames to.
        var capturedLength = originalLength
        if let snapLength = interfaces.first?.snapLength, snapLength > 0 {
            capturedLength = min(originalLength, snapLength)
        }
        return try CaptureRecord(
            interface: 0, ticks: nil, frame: block.take(capturedLength), direction: nil, originalLength: originalLength)
    }

    private func readOptions(
        _ block: inout ByteReader
    ) throws(CaptureFileError) -> [(code: UInt16, value: Range<Int>)] {
        var options: [(code: UInt16, value: Range<Int>)] = []
        while block.remaining > 0 {
            let code = try block.read(UInt16.self)
            let length = try Int(block.read(UInt16.self))
            if code == 0 { break }
            options.append((code, try block.take(length)))
            try block.skipPadding(after: length)
        }
        return options
    }
}

extension ByteReader {
    /// Passes over what fills a field of so many bytes up to the next multiple of four.
    fileprivate mutating func skipPadding(after length: Int) throws(CaptureFileError) {
        _ = try take(-length & 3)
    }
}
