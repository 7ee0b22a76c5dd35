import FoundationEssentials

/// A value as one line of JSON, its keys in a stable order.
func jsonLine(_ value: some Encodable) -> String {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    guard let data = try? encoder.encode(value) else {
        preconditionFailure("strings, integers and booleans always have a JSON form")
    }
    return String(decoding: data, as: UTF8.self) + "\n"
}
