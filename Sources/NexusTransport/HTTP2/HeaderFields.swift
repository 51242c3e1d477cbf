import CNghttp2
import NexusService

/// Header fields on their way to libnghttp2, which copies them.
struct HeaderFields {
  private var text: [UInt8] = []
  /// Where each name begins, where its value begins, and where that ends.
  private var places: [(name: Int, value: Int, end: Int)] = []

  mutating func add(_ name: String, _ value: String) { add(name, Array(value.utf8)) }

  mutating func add(_ name: String, _ value: [UInt8]) {
    let start = text.count
    text += name.utf8
    let middle = text.count
    text += value
    places.append((start, middle, text.count))
  }

  func withVector<R>(_ body: (UnsafePointer<nghttp2_nv>, Int) -> R) -> R {
    // Invariant: libnghttp2 only reads what the entries point to, during `body`.
    text.withUnsafeBufferPointer { text in
      withUnsafeTemporaryAllocation(of: nghttp2_nv.self, capacity: places.count) { vector in
        let base = UnsafeMutablePointer(mutating: text.baseAddress!)
        for (index, place) in places.enumerated() {
          vector[index] = nghttp2_nv(
            name: base + place.name, value: base + place.value, namelen: place.value - place.name,
            valuelen: place.end - place.value, flags: 0)
        }
        return body(UnsafePointer(vector.baseAddress!), places.count)
      }
    }
  }

  mutating func add(trailers status: CallStatus) {
    add("grpc-status", "\(status.code.rawValue)")
    if !status.message.isEmpty { add("grpc-message", StatusText.encode(status.message)) }
  }
}

/// The heads that are always the same, made once and never freed, so that libnghttp2 need not copy them.
struct ConstantFields: @unchecked Sendable {
  /// Invariant: never written to after `init`.
  let vector: UnsafePointer<nghttp2_nv>
  let count: Int

  static let answer = ConstantFields([(":status", "200"), ("content-type", "application/grpc")])
  static let succeeded = ConstantFields([("grpc-status", "0")])

  private init(_ fields: [(StaticString, StaticString)]) {
    let vector = UnsafeMutablePointer<nghttp2_nv>.allocate(capacity: fields.count)
    let flags = UInt8(NGHTTP2_NV_FLAG_NO_COPY_NAME.rawValue | NGHTTP2_NV_FLAG_NO_COPY_VALUE.rawValue)
    for (index, (name, value)) in fields.enumerated() {
      (vector + index).initialize(
        to: nghttp2_nv(
          name: UnsafeMutablePointer(mutating: name.utf8Start), value: UnsafeMutablePointer(mutating: value.utf8Start),
          namelen: name.utf8CodeUnitCount, valuelen: value.utf8CodeUnitCount, flags: flags))
    }
    self.vector = UnsafePointer(vector)
    count = fields.count
  }
}
