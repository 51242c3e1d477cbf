import NexusModel
import NexusStore
import Testing

@Suite struct StoreTests {
  @Test func findsWhatWasPut() {
    let store = Store(StoreConfiguration())
    var text = "hello"
    text.withUTF8 { bytes in
      let key = store.key(UnsafeRawBufferPointer(bytes), in: 0)
      let taken = store.lock(key, as: 1)
      defer { store.unlock(key, taken) }
      #expect(store.put(key, over: nil, UnsafeRawBufferPointer(bytes), .none) == .stored)
      #expect(store.find(key, now: 1)?.value.elementsEqual(bytes) == true)
    }
  }
}
