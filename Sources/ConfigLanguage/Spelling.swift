/// The one of `candidates` that `word` most looks like a misspelling of; nil where it looks like none.
func closest(to word: String, among candidates: [String]) -> String? {
    guard word.utf8.count <= 64 else { return nil }
    let nearest = candidates.filter { $0 != word }
        .map {
            (candidate: $0, distance: editDistance(Array(word.utf8), Array($0.utf8)), differs: $0.first != word.first)
        }
        .min { ($0.distance, $0.differs ? 1 : 0) < ($1.distance, $1.differs ? 1 : 0) }
    guard let nearest, nearest.distance <= max(1, nearest.candidate.utf8.count / 3),
        nearest.distance < nearest.candidate.utf8.count
    else { return nil }
    return nearest.candidate
}

/// The insertions, deletions, replacements and swaps of neighbours that make `a` of `b` (optimal string alignment).
private func editDistance(_ a: [UInt8], _ b: [UInt8]) -> Int {
    var previous: [Int] = []
    var row = Array(0...b.count)
    for i in a.indices {
        var next = [i + 1]
        for j in b.indices {
            var distance = min(row[j] + (a[i] == b[j] ? 0 : 1), row[j + 1] + 1, next[j] + 1)
            if i > 0 && j > 0 && a[i] == b[j - 1] && a[i - 1] == b[j] {
                distance = min(distance, previous[j - 1] + 1)
            }
            next.append(distance)
        }
        (previous, row) = (row, next)
    }
    return row[b.count]
}
