private import Glibc

/// The machine that matches at one start: Lua's recursive matcher with its recursion turned into frames. A frame, or a
/// capture sign, is open while Lua's nested match would be running, so both come to "pattern too complex" at the same
/// point; in programs that never can, choices that cannot succeed have no frame.
///
/// No capture is undone on the way back: what follows a choice is always matched anew, captures included.
extension PatternMatcher {
    /// Runs until the attempt is decided or the steps are used up; `phase` says which.
    @inline(__always)
    mutating func runAttempt(
        _ budget: inout Int, _ frames: UnsafeMutablePointer<Frame>, _ captures: UnsafeMutablePointer<Capture>
    ) {
        // In registers, as the compiler cannot know that what is written through the pointers is not the matcher.
        let subject = unsafe subject
        let end = count
        var item = unsafe item
        var position = position
        var frameCount = frameCount
        var progress = progress
        var steps = budget
        var isFailing = phase == .backtrack

        var ending = Phase.unmatched

        attempt: while true {
            items: while !isFailing {
                guard steps > 0 else {
                    ending = .item
                    break attempt
                }
                steps &-= 1
                switch unsafe item.pointee.kind {
                case .byte:
                    guard position < end, unsafe subject[position] == item.pointee.byte else { break items }
                    position &+= 1

                case .set:
                    guard position < end, unsafe item.pointee.set.contains(subject[position]) else { break items }
                    position &+= 1

                case .any:
                    guard position < end else { break items }
                    position &+= 1

                case .literal:
                    let length = Int(unsafe item.pointee.length)
                    guard end &- position >= length,
                        unsafe memcmp(subject + position, item.pointee.literal, length) == 0
                    else { break items }
                    steps &-= length / Self.bytesPerStep
                    position &+= length

                case .greedy, .possessive:
                    var reached = position &+ progress
                    if unsafe item.pointee.takesAny {
                        reached = end
                    } else {
                        let set = unsafe item.pointee.set
                        let start = reached
                        let limit = bound(from: start, steps, Self.runBytesPerStep)
                        while reached < limit, unsafe set.contains(subject[reached]) { reached &+= 1 }
                        steps &-= (reached &- start) / Self.runBytesPerStep
                        if reached == limit, limit < end {
                            progress = reached &- position
                            ending = .item
                            break attempt
                        }
                        progress = 0
                    }
                    let taken = reached &- position
                    let minimum = unsafe item.pointee.minimum
                    guard taken >= minimum else { break items }
                    if unsafe item.pointee.kind == .greedy,
                        unsafe taken > minimum || taken > 0 && item.pointee.follow == nil
                    {
                        guard unsafe frameCount &+ Int(item.pointee.other) < Self.maximumDepth else {
                            ending = .tooComplex
                            break attempt
                        }
                        unsafe (frames + frameCount).initialize(
                            to: Frame(item: item, position: reached, floor: position &+ minimum))
                        frameCount &+= 1
                    }
                    position = reached

                case .lazy:
                    if let follow = unsafe item.pointee.follow {
                        let start = position
                        var isPossible = false
                        let limit: Int
                        if unsafe item.pointee.followIsByte {
                            limit = bound(from: start, steps, Self.bytesPerStep)
                            let found = unsafe memchr(subject + start, CInt(item.pointee.byte), limit &- start)
                            if let found = unsafe found {
                                position = unsafe UnsafeRawPointer(subject).distance(to: found)
                                isPossible = true
                            } else {
                                position = limit
                            }
                            steps &-= (position &- start) / Self.bytesPerStep
                        } else {
                            let set = unsafe item.pointee.set
                            limit = bound(from: start, steps, Self.runBytesPerStep)
                            while position < limit {
                                let byte = unsafe subject[position]
                                isPossible = unsafe follow.contains(byte)
                                if unsafe isPossible || !set.contains(byte) { break }
                                position &+= 1
                            }
                            steps &-= (position &- start) / Self.runBytesPerStep
                        }
                        if position == limit {
                            guard limit == end else {
                                ending = .item
                                break attempt
                            }
                            isPossible = unsafe item.pointee.followsAtEnd
                        }
                        guard isPossible else { break items }
                    } else if progress == 0 {
                        // A run that has begun is a choice, even where it cannot become longer.
                        guard position < end, unsafe item.pointee.set.contains(subject[position]) else { break }
                    }
                    progress = 0
                    guard unsafe frameCount &+ Int(item.pointee.other) < Self.maximumDepth else {
                        ending = .tooComplex
                        break attempt
                    }
                    unsafe (frames + frameCount).initialize(to: Frame(item: item, position: position, floor: 0))
                    frameCount &+= 1

                case .optional:
                    guard position < end, unsafe item.pointee.set.contains(subject[position]) else { break }
                    guard unsafe frameCount &+ Int(item.pointee.other) < Self.maximumDepth else {
                        ending = .tooComplex
                        break attempt
                    }
                    unsafe (frames + frameCount).initialize(to: Frame(item: item, position: position, floor: 0))
                    frameCount &+= 1
                    position &+= 1

                case .possessiveOptional:
                    if position < end, unsafe item.pointee.set.contains(subject[position]) { position &+= 1 }

                case .openCapture, .positionCapture:
                    guard unsafe frameCount &+ Int(item.pointee.other) < Self.maximumDepth else {
                        ending = .tooComplex
                        break attempt
                    }
                    let isPosition = unsafe item.pointee.kind == .positionCapture
                    unsafe captures[Int(item.pointee.byte)] = Capture(
                        start: position, length: isPosition ? Capture.position : Capture.unfinished)

                case .closeCapture:
                    guard unsafe frameCount &+ Int(item.pointee.other) < Self.maximumDepth else {
                        ending = .tooComplex
                        break attempt
                    }
                    let index = Int(unsafe item.pointee.byte)
                    unsafe captures[index].length = position &- captures[index].start

                case .backReference:
                    let capture = unsafe captures[Int(item.pointee.byte)]
                    guard capture.length <= end &- position else { break items }
                    let piece = min(capture.length &- progress, 1 << 16)
                    guard
                        unsafe memcmp(
                            subject + (position &+ progress), subject + (capture.start &+ progress), piece) == 0
                    else {
                        progress = 0
                        break items
                    }
                    steps &-= piece / Self.bytesPerStep
                    progress &+= piece
                    if progress < capture.length { continue items }
                    progress = 0
                    position &+= capture.length

                case .balance:
                    if progress == 0 {
                        guard position < end, unsafe subject[position] == item.pointee.byte else { break items }
                        position &+= 1
                        progress = 1
                    }
                    let open = unsafe item.pointee.byte
                    let close = unsafe item.pointee.other
                    let start = position
                    let limit = bound(from: start, steps, 1)
                    while position < limit {
                        let byte = unsafe subject[position]
                        position &+= 1
                        // The closing byte comes first: the two may be the same.
                        if byte == close {
                            progress &-= 1
                            if progress == 0 { break }
                        } else if byte == open {
                            progress &+= 1
                        }
                    }
                    steps &-= position &- start
                    if progress > 0 {
                        guard limit == end else {
                            ending = .item
                            break attempt
                        }
                        progress = 0
                        break items
                    }

                case .frontier:
                    let set = unsafe item.pointee.set
                    let before = position > 0 ? unsafe subject[position &- 1] : 0
                    let after = position < end ? unsafe subject[position] : 0
                    guard unsafe !set.contains(before) && set.contains(after) else { break items }

                case .subjectEnd:
                    guard position == end else { break items }

                case .end:
                    ending = .matched
                    break attempt
                case .malformed:
                    ending = .malformed
                    break attempt
                }
                unsafe item += 1
            }

            // Back to the last open choice, to take its next way.
            isFailing = true
            while isFailing {
                guard frameCount > 0 else {
                    ending = .unmatched
                    break attempt
                }
                guard steps > 0 else {
                    ending = .backtrack
                    break attempt
                }
                steps &-= 1
                let frame = unsafe frames + (frameCount &- 1)
                unsafe item = frame.pointee.item
                position = unsafe frame.pointee.position
                switch unsafe item.pointee.kind {
                case .greedy:
                    let floor = unsafe frame.pointee.floor
                    let start = position
                    if let follow = unsafe item.pointee.follow {
                        let most = max(steps, 1)
                        let limit =
                            (start &- floor) / Self.runBytesPerStep < most
                            ? floor : start &- most &* Self.runBytesPerStep
                        while position > limit {
                            position &-= 1
                            if unsafe follow.contains(subject[position]) {
                                isFailing = false
                                break
                            }
                        }
                        steps &-= (start &- position) / Self.runBytesPerStep
                    } else if position > floor {
                        position &-= 1
                        isFailing = false
                    }
                    unsafe frame.pointee.position = position
                    // At its shortest it is still open to Lua, until that has failed as well.
                    if isFailing, position == floor { frameCount &-= 1 }
                    if !isFailing { unsafe item += 1 }
                case .lazy:
                    frameCount &-= 1
                    guard position < end, unsafe item.pointee.set.contains(subject[position]) else { continue }
                    position &+= 1
                    progress = unsafe item.pointee.follow == nil ? 1 : 0
                    isFailing = false
                default:
                    frameCount &-= 1
                    unsafe item += 1
                    isFailing = false
                }
            }
        }

        unsafe self.item = unsafe item
        self.position = position
        self.frameCount = frameCount
        self.progress = progress
        phase = ending
        budget = steps
    }
}
