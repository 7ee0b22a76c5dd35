import CLuaShim
public import LuaRuntime

/// A function that gets what scripts log: the context that was given with it, the raw value of a `LogLevel`, and the
/// text's bytes, UTF-8 or not, which are there for the time of the call.
///
/// It is called on the packet path.
public typealias LogFunction =
    @convention(c) (
        _ context: UnsafeMutableRawPointer?, _ level: UInt8, _ text: UnsafePointer<CChar>?, _ length: Int
    ) -> Void

extension LuaState {
    /// Lets scripts `require 'net'` and `require 'npf'`.
    public mutating func installScriptModules() {
        var operations = unsafe ls_net_operations.net
        unsafe ls_open_net(shim, &operations)
        unsafe ls_open_npf(shim)
    }

    /// Says who gets what scripts log, at most `LogLevel.longestMessage` bytes a message; without it that is dropped.
    ///
    /// The context must stay for as long as the state may run a script.
    public mutating func setLog(_ function: LogFunction?, context: UnsafeMutableRawPointer?) {
        unsafe ls_set_log(shim, function, context)
    }

    /// Says what tables scripts find by `npf.table`; without it there are none.
    ///
    /// - Parameters:
    ///   - names: the tables' names, each ending in NUL.
    ///   - context: what the functions get; it and the names must stay for as long as the state may run a script.
    public mutating func setTables(
        _ names: UnsafeBufferPointer<UnsafePointer<CChar>?>, _ functions: TableFunctions,
        context: UnsafeMutableRawPointer?
    ) {
        var tables = unsafe ls_tables(
            names: names.baseAddress, count: names.count, add: functions.add, remove: functions.remove,
            test: functions.test, context: context)
        unsafe ls_set_tables(shim, &tables)
    }

    /// Says what time the next call of a filter function is at, in nanoseconds since 1970: what `npf.time` gives it.
    public mutating func setTime(nanoseconds: Int64) {
        unsafe ls_set_time(shim, nanoseconds)
    }
}
