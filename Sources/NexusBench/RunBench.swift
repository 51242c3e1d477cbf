import Glibc

/// `nexuscache bench`: loads a server and reports. `arguments` are those after `bench`; answers the exit status: 0, 1
/// where the run failed or the server answered errors, 2 where the command line was not understood.
public func runBench(arguments: [String]) -> Int32 {
  let parsed: Workload?
  do {
    parsed = try Workload.parse(arguments)
  } catch {
    complain(error.message)
    return 2
  }
  guard let workload = parsed else {
    print(Workload.help, terminator: "")
    return 0
  }
  do {
    if workload.loadFirst {
      let result = try LoadRun(workload.loading).perform()
      if result.counts.errors > 0 {
        complain("loading: \(result.counts.errors) error replies, the first: \(result.counts.firstError ?? "")")
        return 1
      }
      if !workload.json {
        print("loaded \(result.operations.grouped) keys in \(result.seconds.fixed(2)) s")
      }
    }
    let result: RunResult
    if let path = workload.tracePath {
      result = try TraceReplay.perform(workload, path: path)
    } else {
      result = try LoadRun(workload).perform()
    }
    let report = Report(workload: workload, result: result)
    print(workload.json ? report.json : report.text, terminator: "")
    return result.counts.errors == 0 ? 0 : 1
  } catch {
    complain(error.message)
    return 1
  }
}

private func complain(_ message: String) {
  var line = "nexuscache bench: \(message)\n"
  line.withUTF8 { _ = write(2, $0.baseAddress, $0.count) }
}

extension Workload {
  /// The run that fills the server before this one measures it.
  var loading: Workload {
    var loading = self
    loading.operation = .load
    loading.pipeline = 64
    loading.batch = 1
    loading.rate = 0
    loading.fillMisses = false
    return loading
  }
}
