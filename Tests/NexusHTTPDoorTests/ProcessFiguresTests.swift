import NexusTelemetry
import Testing

@Suite struct ProcessFiguresTests {
  @Test func theProcessKnowsItself() {
    let reading = LinuxProcessFigures().read()
    #expect(reading.residentBytes > 1 << 20)
    #expect(reading.virtualBytes > reading.residentBytes)
    #expect(reading.threads >= 1)
    #expect(reading.openDescriptors >= 3)
    #expect(reading.maxDescriptors >= reading.openDescriptors)
    #expect(reading.machineBytes > reading.residentBytes)
    #expect(reading.startTimeSeconds > 1_600_000_000)
    #expect(reading.cpuUserSeconds + reading.cpuSystemSeconds > 0)
  }
}
