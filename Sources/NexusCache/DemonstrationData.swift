import NexusOrigins

/// What `nexuscache demo` has to show beside its nodes: a database that a namespace is filled from.
public enum DemonstrationData {
  /// Writes the database into the folder, and answers the settings by which all nodes read through it.
  public static func write(to directory: String) throws(StartFailure) -> [(name: String, value: String)] {
    let path = directory + "/scores.db"
    do throws(OriginConfigurationError) { try DemoScores.create(at: path) } catch {
      throw StartFailure(error.description)
    }
    return [("namespace", "scores:origin=\(DemoScores.setting(path: path))"), ("form-group", "scores")]
  }
}
