// swift-tools-version: 6.2
import PackageDescription

let swiftSettings: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .strictMemorySafety(),
    .treatAllWarnings(as: .error),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
]

let cSettings: [CSetting] = [
    .treatAllWarnings(as: .error),
    .enableWarning("all"),
    .enableWarning("extra"),
]

// The programs carry the Swift runtime: a firewall must start on a box that has no Swift.
let staticRuntime: [LinkerSetting] = [
    .unsafeFlags(["-static-stdlib"]),
    .linkedLibrary("_FoundationCShims"),
    .linkedLibrary("_FoundationCollections"),
    .linkedLibrary("swiftSynchronization"),
]

let argumentParser = Target.Dependency.product(name: "ArgumentParser", package: "swift-argument-parser")
let logging = Target.Dependency.product(name: "Logging", package: "swift-log")

/// A library target; its dependencies point to lower levels only.
func library(_ name: String, _ dependencies: [Target.Dependency] = []) -> Target {
    .target(name: name, dependencies: dependencies, swiftSettings: swiftSettings)
}

func program(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
    .executableTarget(
        name: name, dependencies: dependencies, swiftSettings: swiftSettings, linkerSettings: staticRuntime)
}

/// The tests of a library; they read their vectors from the folder `Vectors` beside them.
func tests(of name: String, _ dependencies: [Target.Dependency] = [], vectors: Bool = false) -> Target {
    .testTarget(
        name: "\(name)Tests", dependencies: [.byName(name: name)] + dependencies,
        exclude: vectors ? ["Vectors"] : [], swiftSettings: swiftSettings)
}

let package = Package(
    name: "npflua",
    products: [
        .executable(name: "npfluad", targets: ["npfluad"]),
        .executable(name: "npfctl", targets: ["npfctl"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.0"),
        .package(url: "https://github.com/apple/swift-log", from: "1.6.0"),
    ],
    targets: [
        // Level 0: foreign headers only.
        .systemLibrary(name: "CLua", pkgConfig: "lua5.4", providers: [.apt(["liblua5.4-dev"])]),
        .systemLibrary(name: "CMnl", pkgConfig: "libmnl", providers: [.apt(["libmnl-dev"])]),
        .systemLibrary(
            name: "CNetfilterQueue", pkgConfig: "libnetfilter_queue", providers: [.apt(["libnetfilter-queue-dev"])]),
        // Its header alone: the library is opened when a rule first needs it.
        .systemLibrary(name: "CPcap", providers: [.apt(["libpcap-dev"])]),

        // Level 1: the only C of our own.
        .target(name: "CLuaShim", dependencies: ["CLua"], cSettings: cSettings),
        .target(name: "CLinuxShim", cSettings: cSettings),

        // Level 2: leaves.
        library("Packet"),
        library("CaptureFile"),
        library("ConfigLanguage"),
        library("ControlProtocol"),
        library("LuaRuntime", ["CLua", "CLuaShim"]),
        library("SystemSupport", ["CLinuxShim"]),

        // Level 3.
        library("Ruleset", ["ConfigLanguage", "Packet"]),
        library("AddressTables", ["CLinuxShim", "Packet", "SystemSupport"]),
        library("Luadata", ["CLuaShim", "LuaRuntime"]),
        library("ScriptModules", ["CLuaShim", "ConfigLanguage", "LuaRuntime", "Packet"]),
        library("PacketQueue", ["CLinuxShim", "CMnl", "CNetfilterQueue", "SystemSupport"]),
        library("KernelPlan", ["ConfigLanguage", "Packet"]),
        library("ConnectionTracking", ["CMnl", "SystemSupport"]),
        library("PcapFilter", ["CPcap", "Packet"]),
        library("Procedures", ["CaptureFile", "Packet", "SystemSupport"]),
        library("States", ["CLinuxShim", "Packet", "SystemSupport"]),

        // Level 4.
        library(
            "Engine",
            [
                "AddressTables", "CaptureFile", "ConfigLanguage", "ConnectionTracking", "ControlProtocol", "KernelPlan",
                "LuaRuntime", "Luadata", "Packet", "PacketQueue", "PcapFilter", "Procedures", "Ruleset",
                "ScriptModules", "States",
                "SystemSupport", logging,
            ]),

        library("CommandLineSupport", ["SystemSupport", argumentParser]),

        // Level 5.
        program("npfluad", ["CommandLineSupport", "Engine", "SystemSupport", argumentParser, logging]),
        program(
            "npfctl",
            [
                "CaptureFile", "CommandLineSupport", "ConfigLanguage", "ControlProtocol", "Engine", "KernelPlan",
                "LuaRuntime", "Luadata", "Packet", "PacketQueue", "Ruleset", "ScriptModules", "SystemSupport",
                argumentParser,
            ]),

        .executableTarget(
            name: "StateBenchmark", dependencies: ["Packet", "States"], path: "Benchmarks/States",
            swiftSettings: swiftSettings),
        .executableTarget(
            name: "TableBenchmark", dependencies: ["AddressTables", "Packet", "TestSupport"], path: "Benchmarks/Tables",
            swiftSettings: swiftSettings),
        .executableTarget(
            name: "RuleBenchmark",
            dependencies: ["AddressTables", "ConfigLanguage", "Engine", "LuaRuntime", "Packet", "TestSupport"],
            path: "Benchmarks/Rules", swiftSettings: swiftSettings),
        // Measures what Lua costs here; see Benchmarks/Lua.
        .executableTarget(
            name: "LuaBenchmark", dependencies: ["CLua", "CLuaShim", "LuaRuntime", "Luadata"], path: "Benchmarks/Lua",
            swiftSettings: swiftSettings),

        .target(
            name: "TestSupport", dependencies: ["Packet", "Ruleset"], path: "Tests/TestSupport",
            swiftSettings: swiftSettings),
        // Counts the allocations of the whole test program, so that tests can show that a path makes none.
        .target(name: "CAllocationCounter", path: "Tests/CAllocationCounter", cSettings: cSettings),
        // Sends and receives what the live tests count and check byte for byte.
        .executableTarget(
            name: "Traffic", path: "Tests/Traffic", cSettings: cSettings,
            linkerSettings: [.unsafeFlags(["-static-stdlib"])]),

        tests(of: "Packet", ["TestSupport"]),
        tests(of: "AddressTables", ["CAllocationCounter", "Packet", "SystemSupport", "TestSupport"], vectors: true),
        tests(of: "CaptureFile", ["TestSupport"]),
        tests(of: "ConfigLanguage", vectors: true),
        tests(of: "CommandLineSupport", [argumentParser]),
        tests(of: "ControlProtocol"),
        tests(of: "LuaRuntime", ["CLua", "CLuaShim", "TestSupport"]),
        tests(of: "SystemSupport", ["CAllocationCounter"]),
        tests(of: "Ruleset", ["ConfigLanguage", "Packet", "TestSupport"], vectors: true),
        tests(of: "Luadata", ["LuaRuntime", "TestSupport"], vectors: true),
        tests(
            of: "ScriptModules",
            ["ConfigLanguage", "LuaRuntime", "Luadata", "Packet", "TestSupport"]),
        tests(of: "PacketQueue", ["CAllocationCounter", "SystemSupport"]),
        tests(of: "KernelPlan", ["ConfigLanguage", "Packet", "Ruleset", "States", "SystemSupport", "TestSupport"]),
        tests(of: "ConnectionTracking", ["SystemSupport"]),
        // libpcap's own interpreter says what its programs mean.
        .testTarget(
            name: "PcapFilterTests", dependencies: ["CPcap", "Packet", "PcapFilter", "SystemSupport"],
            exclude: ["Vectors"],
            swiftSettings: swiftSettings, linkerSettings: [.linkedLibrary("pcap")]),
        tests(of: "Procedures", ["CAllocationCounter", "CaptureFile", "Packet", "SystemSupport", "TestSupport"]),
        tests(of: "States", ["CAllocationCounter", "Packet", "TestSupport"], vectors: true),
        tests(
            of: "Engine",
            [
                "AddressTables", "CAllocationCounter", "CLua", "CLuaShim", "ConfigLanguage", "ControlProtocol",
                "LuaRuntime", "Luadata", "Packet", "Procedures", "Ruleset", "ScriptModules", "States", "SystemSupport",
                "TestSupport",
            ], vectors: true),
        .testTarget(
            name: "EndToEnd", dependencies: ["ControlProtocol", "Packet", "SystemSupport", "TestSupport"],
            path: "Tests/EndToEnd",
            exclude: ["README.md"],
            swiftSettings: swiftSettings),
    ]
)
