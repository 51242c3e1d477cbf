import Foundation
import NexusTestSupport
import NexusWire
import Testing

/// Google's Protocol Buffers, in Python, read what we write and write what we read.
@Suite struct ProtobufTests {
  static let python = Environment["NEXUS_TEST_PYTHON"] ?? ProtoFile.root + "/.venv/bin/python"
  static let hasProtobuf: Bool = {
    let found = try? ChildProcess.run(python, ["-c", "import google.protobuf, grpc_tools"])
    return found?.status == 0
  }()
  static let needsProtobuf: Comment = "scripts/venv makes .venv with protobuf and grpcio-tools"

  @Test(.enabled(if: hasProtobuf, needsProtobuf))
  func googleReadsWhatWeWriteAndWeReadWhatItMakesOfIt() throws {
    let seed = Dice.seed()
    print("NEXUS_SEED=\(seed)")
    var samples = Samples(seed: seed)
    var input = ""
    var expected: [Set<String>] = []
    for _ in 0..<80 {
      let frame = SampleFrame(&samples, items: samples.dice.below(15))
      input += "frame \(Description.hex(frame.bytes))\n"
      expected.append(frame.description.lines)
      let packet = samples.packet()
      input += "gossip \(Description.hex(written { packet.encode(to: &$0) }))\n"
      var description = Description()
      description.add(packet)
      expected.append(description.lines)
    }
    let said = try run(input: input) { ["check", $0, $1] }
    #expect(said.count == expected.count)
    for (said, expected) in zip(said, expected) {
      let difference = said.lines.symmetricDifference(expected).sorted()
      try #require(difference.isEmpty, "seed \(seed): Google's reading differs: \(difference)")
      try compare(said, seed)
    }
  }

  @Test(.enabled(if: hasProtobuf, needsProtobuf))
  func weReadWhatGoogleWrites() throws {
    let seed = Dice.seed()
    print("NEXUS_SEED=\(seed)")
    let said = try run(input: "") { ["make", "\(seed)", "200", $1] }
    #expect(said.count == 200)
    for message in said { try compare(message, seed) }
  }

  struct Message {
    var kind: Substring
    var bytes: [UInt8]
    var lines: Set<String>
  }

  /// Our reading of Google's bytes is Google's own.
  private func compare(_ message: Message, _ seed: UInt64) throws {
    var ours = Description()
    if message.kind == "frame" {
      ours = try Description.frame(message.bytes).get()
    } else {
      ours.add(try message.bytes.withUnsafeBytes { try GossipPacket(decoding: $0) })
    }
    // What is in these is read by their shells.
    let theirs = message.lines.filter { !$0.hasPrefix("ownership[") && !$0.hasPrefix("replication[") }
    let difference = theirs.symmetricDifference(ours.lines).sorted()
    try #require(difference.isEmpty, "seed \(seed): our reading differs: \(difference)")
  }

  private func run(input: String, _ arguments: (String, String) -> [String]) throws -> [Message] {
    let directory = Environment.makeTemporaryDirectory()
    defer { try? FileManager.default.removeItem(atPath: directory) }
    let (inputPath, outputPath) = (directory + "/input", directory + "/output")
    try input.write(toFile: inputPath, atomically: true, encoding: .utf8)
    let script = ProtoFile.root + "/Tests/Clients/wire.py"
    let result = try ChildProcess.run(
      Self.python, [script] + arguments(inputPath, outputPath),
      environment: ["PYTHONDONTWRITEBYTECODE=1", "TMPDIR=\(directory)"], seconds: 120)
    try #require(result.status == 0, "\(result.output)")
    let output = try String(contentsOfFile: outputPath, encoding: .utf8)
    return output.components(separatedBy: "\n\n").filter { !$0.isEmpty }.map { block in
      let lines = block.split(separator: "\n")
      let head = lines[0].split(separator: " ", omittingEmptySubsequences: false)
      return Message(kind: head[0], bytes: Self.bytes(hex: head[1]), lines: Set(lines.dropFirst().map(String.init)))
    }
  }

  private static func bytes(hex: Substring) -> [UInt8] {
    let digits = Array(hex.utf8)
    return stride(from: 0, to: digits.count, by: 2).map { at in
      UInt8(String(decoding: digits[at..<at + 2], as: UTF8.self), radix: 16)!
    }
  }
}
