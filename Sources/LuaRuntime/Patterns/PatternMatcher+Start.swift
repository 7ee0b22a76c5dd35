private import Glibc

/// Where an attempt can begin. A start is passed over only where Lua's matcher would find nothing and raise nothing.
extension PatternMatcher {
    /// Puts the machine at the next start that can succeed; else says how the slice ends.
    @inline(__always)
    mutating func beginAttempt(_ steps: inout Int) -> Outcome? {
        if phase == .skipping {
            guard skipRun(&steps) else { return .exhausted }
        }
        guard attemptStart >= 0, attemptStart <= count else { return .noMatch }
        if let outcome = findRequired(&steps) { return outcome }
        unsafe item = program.pointee.items
        switch unsafe program.pointee.start {
        case .anywhere: break
        case .literal:
            if let outcome = unsafe find(item, from: &attemptStart, &steps) { return outcome }
            position = attemptStart &+ Int(unsafe item.pointee.length)
            unsafe item += 1
            frameCount = 0
            phase = .item
            return nil
        case .byte:
            if let outcome = findFirstByte(&steps) { return outcome }
        case .set:
            if let outcome = findFirstOfSet(&steps) { return outcome }
        }
        steps &-= 1
        position = attemptStart
        frameCount = 0
        phase = .item
        return nil
    }

    /// How far a loop may go that does `bytesPerStep` bytes a step.
    @inline(__always)
    func bound(from start: Int, _ steps: Int, _ bytesPerStep: Int) -> Int {
        // Each slice goes on by some bytes.
        let most = max(steps, 1)
        return (count &- start) / bytesPerStep < most ? count : start &+ most &* bytesPerStep
    }

    /// Leaves the run in which an attempt has failed, and the place behind it, where it has failed as well.
    private mutating func skipRun(_ steps: inout Int) -> Bool {
        if let run = unsafe program.pointee.run {
            let end = bound(from: attemptStart, steps, Self.runBytesPerStep)
            let start = attemptStart
            while attemptStart < end, unsafe run.contains(subject[attemptStart]) { attemptStart &+= 1 }
            steps &-= (attemptStart &- start) / Self.runBytesPerStep &+ 1
            if attemptStart == end, end < count { return false }
        }
        attemptStart &+= 1
        phase = .idle
        return true
    }

    /// Makes sure that what the pattern cannot do without still lies ahead; else says how the slice ends.
    @inline(__always)
    private mutating func findRequired(_ steps: inout Int) -> Outcome? {
        guard let required = unsafe program.pointee.required else { return nil }
        if isRequiredFound, requiredPosition >= attemptStart { return nil }
        isRequiredFound = false
        requiredPosition = max(requiredPosition, attemptStart)
        if let outcome = unsafe find(required, from: &requiredPosition, &steps) { return outcome }
        isRequiredFound = true
        return nil
    }

    private mutating func findFirstByte(_ steps: inout Int) -> Outcome? {
        let end = bound(from: attemptStart, steps, Self.bytesPerStep)
        let found = unsafe memchr(subject + attemptStart, CInt(program.pointee.firstByte), end &- attemptStart)
        let start = attemptStart
        attemptStart = if let found = unsafe found { unsafe UnsafeRawPointer(subject).distance(to: found) } else { end }
        steps &-= (attemptStart &- start) / Self.bytesPerStep
        return unsafe found == nil ? atEnd(end) : nil
    }

    private mutating func findFirstOfSet(_ steps: inout Int) -> Outcome? {
        let first = unsafe program.pointee.first
        let start = attemptStart
        let end = bound(from: attemptStart, steps, Self.runBytesPerStep)
        var place = start
        while place < end, unsafe !first.contains(subject[place]) { place &+= 1 }
        attemptStart = place
        steps &-= (place &- start) / Self.runBytesPerStep
        return place == end ? atEnd(end) : nil
    }

    /// After a search for the first byte up to `end`.
    private func atEnd(_ end: Int) -> Outcome? {
        end < count ? .exhausted : unsafe program.pointee.startsAtEnd ? nil : .noMatch
    }

    /// Finds a literal at or after `place`, which is moved there; else says how the slice ends.
    private func find(_ literal: UnsafePointer<PatternItem>, from place: inout Int, _ steps: inout Int) -> Outcome? {
        let length = Int(unsafe literal.pointee.length)
        let byte = CInt(unsafe literal.pointee.byte)
        let text = unsafe literal.pointee.literal
        // The last place where there is room for it.
        let last = count &- length
        while steps > 0 {
            guard place <= last else { return .noMatch }
            let end = min(last &+ 1, bound(from: place, steps, Self.bytesPerStep))
            guard let found = unsafe memchr(subject + place, byte, end &- place) else {
                steps &-= (end &- place) / Self.bytesPerStep &+ 1
                place = end
                continue
            }
            let candidate = unsafe UnsafeRawPointer(subject).distance(to: found)
            steps &-= (candidate &- place &+ length) / Self.bytesPerStep &+ 1
            place = candidate
            if unsafe length == 1 || memcmp(subject + (candidate &+ 1), text + 1, length &- 1) == 0 { return nil }
            place &+= 1
        }
        return .exhausted
    }
}
