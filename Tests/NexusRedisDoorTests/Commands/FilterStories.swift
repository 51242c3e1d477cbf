import NexusModel
import NexusStore
import NexusTestSupport
import Testing

@testable import NexusRedisDoor

@Suite("Filters answer as RedisBloom's cuckoo filters do")
struct FilterStories {
  @Test("Items are added, counted, found and deleted")
  func items() {
    let transcript = ##"""
      > CF.ADD f a
      :1
      > CF.ADD f a
      :1
      > CF.ADDNX f a
      :0
      > CF.ADDNX f b
      :1
      > CF.COUNT f a
      :2
      > CF.EXISTS f a
      :1
      > CF.EXISTS f nothing
      :0
      > CF.MEXISTS f a nothing b
      [:1 :0 :1]
      > CF.DEL f a
      :1
      > CF.EXISTS f a
      :1
      > CF.DEL f a
      :1
      > CF.DEL f a
      :0
      > CF.COUNT f a
      :0
      > CF.INFO f CAPACITY
      [:1024]
      > CF.INFO f error
      ["0.01"]
      > CF.INFO f size
      -ERR Invalid information value: CAPACITY and ERROR are known, or none
      > CF.INFO f size size
      -ERR wrong number of arguments for 'cf.info' command
      > TYPE f
      +MBbloomCF
      > OBJECT ENCODING f
      "raw"
      """##
    let console = CommandConsole()
    #expect(differences(transcript, on: console) == [])
    #expect(
      console.type("CF.INFO f") == "[+Size :1432 +Number of buckets :273 +Number of filters :1 "
        + "+Number of items inserted :1 +Number of items deleted :2 +Bucket size :4 +Expansion rate :2 "
        + "+Max iterations :500]")
  }

  @Test("A filter that does not exist is empty, or not found")
  func absent() {
    let transcript = ##"""
      > CF.EXISTS f a
      :0
      > CF.MEXISTS f a b
      [:0 :0]
      > CF.COUNT f a
      :0
      > CF.DEL f a
      -ERR not found
      > CF.INFO f
      -ERR not found
      > CF.INSERT f NOCREATE ITEMS a
      -ERR not found
      > CF.INSERTNX f NOCREATE CAPACITY 10 ITEMS a
      -ERR not found
      > EXISTS f
      :0
      """##
    #expect(differences(transcript) == [])
  }

  @Test("CF.INSERT makes the filter as it is asked")
  func insert() {
    let transcript = ##"""
      > CF.INSERT f CAPACITY 500 ERROR 0.001 ITEMS a b a
      [:1 :1 :1]
      > CF.INFO f CAPACITY
      [:500]
      > CF.INFO f ERROR
      ["0.001"]
      > CF.INSERTNX f CAPACITY 9000 ITEMS a b c CAPACITY 1
      [:0 :0 :1 :1 :1]
      > CF.INFO f CAPACITY
      [:500]
      > CF.COUNT f a
      :2
      > CF.INSERT g items only
      [:1]
      > CF.INSERT g NOCREATE ITEMS other
      [:1]
      > CF.INFO g CAPACITY
      [:1024]
      > CF.INSERT f ITEMS
      -ERR wrong number of arguments for 'cf.insert' command
      > CF.INSERT f CAPACITY 10 a b
      -ERR Unknown argument received
      > CF.INSERT f CAPACITY 10 NOCREATE
      -ERR wrong number of arguments for 'cf.insert' command
      > CF.INSERT f CAPACITY ten ITEMS a
      -ERR Bad capacity
      > CF.INSERT f CAPACITY 0 ITEMS a
      -ERR a filter's capacity is a number of items from 1 to 4294967294
      > CF.INSERT f ERROR much ITEMS a
      -ERR Couldn't parse ERROR
      > CF.INSERT f ERROR 0.9 ITEMS a
      -ERR a filter's error rate is a share from 0.0000001 to 0.25, such as 0.01
      """##
    #expect(differences(transcript) == [])
  }

  @Test("CF.RESERVE takes RedisBloom's options and a rate")
  func reserve() {
    let transcript = ##"""
      > CF.RESERVE f 1000
      +OK
      > CF.RESERVE f 1000
      -ERR item exists
      > CF.RESERVE g 1000 BUCKETSIZE 8 MAXITERATIONS 20 EXPANSION 0 ERROR 0.001
      +OK
      > CF.RESERVE h 1000 bucketsize 1
      +OK
      > CF.ADD h a
      :1
      > CF.RESERVE i
      -ERR wrong number of arguments for 'cf.reserve' command
      > CF.RESERVE i many
      -ERR Bad capacity
      > CF.RESERVE i -1
      -ERR a filter's capacity is a number of items from 1 to 4294967294
      > CF.RESERVE i 1000 BUCKETSIZE
      -ERR wrong number of arguments for 'cf.reserve' command
      > CF.RESERVE i 1000 BUCKETSIZE x
      -ERR Couldn't parse BUCKETSIZE
      > CF.RESERVE i 1000 BUCKETSIZE 256
      -ERR a bucket has 2 to 255 places
      > CF.RESERVE i 1000 MAXITERATIONS x
      -ERR Couldn't parse MAXITERATIONS
      > CF.RESERVE i 1000 MAXITERATIONS 0
      -ERR an addition may try 1 to 65535 iterations
      > CF.RESERVE i 1000 EXPANSION x
      -ERR Couldn't parse EXPANSION
      > CF.RESERVE i 1000 EXPANSION 32769
      -ERR a sub-filter is 0 (none) to 32768 times larger than the last
      > CF.RESERVE i 1000 SIZE 1
      -ERR Unknown argument received
      > EXISTS i
      :0
      """##
    let console = CommandConsole()
    #expect(differences(transcript, on: console) == [])
    #expect(
      console.type("CF.INFO g") == "[+Size :1912 +Number of buckets :132 +Number of filters :1 "
        + "+Number of items inserted :0 +Number of items deleted :0 +Bucket size :8 +Expansion rate :0 "
        + "+Max iterations :20]")
    #expect(
      console.type("CF.RESERVE i 4000000000") == "-ERR a filter for 4000000000 items takes 5263157976 bytes, and a "
        + "value may have 536870912 (max-value-size): choose a smaller capacity or a larger error rate, or raise the "
        + "limit")
  }

  @Test(
    "Filter commands refuse a string",
    arguments: [
      "CF.RESERVE s 10", "CF.ADD s a", "CF.ADDNX s a", "CF.INSERT s ITEMS a", "CF.INSERTNX s NOCREATE ITEMS a",
      "CF.EXISTS s a", "CF.MEXISTS s a b", "CF.DEL s a", "CF.COUNT s a", "CF.INFO s",
    ])
  func strings(_ line: String) {
    let console = CommandConsole()
    _ = console.type("SET s value")
    #expect(console.type(line) == "-WRONGTYPE Operation against a key holding the wrong kind of value")
    #expect(console.type("GET s") == "\"value\"")
  }

  @Test("A filter that may not grow is full, and takes an item again for one that leaves")
  func full() {
    let console = CommandConsole()
    _ = console.type("CF.RESERVE f 100 EXPANSION 0")
    for item in 0..<100 { #expect(console.type("CF.ADD f \(item)") == ":1") }
    #expect(console.type("CF.ADD f x") == "-ERR Filter is full")
    #expect(console.type("CF.ADDNX f 7") == ":0")
    #expect(console.type("CF.INSERT f ITEMS x y") == "[:-1 :-1]")
    #expect(console.type("CF.DEL f 7") == ":1")
    #expect(console.type("CF.INSERT f ITEMS x y") == "[:1 :-1]")
  }

  @Test("A filter grows while items are added, one by one or many at once, and loses none")
  func growing() {
    let console = CommandConsole()
    for item in 0..<4000 { #expect(console.type("CF.ADD one i\(item)") == ":1") }
    let items = (0..<4000).map { "i\($0)" }.joined(separator: " ")
    let ones = "[" + [String](repeating: ":1", count: 4000).joined(separator: " ") + "]"
    #expect(console.type("CF.INSERT many ITEMS \(items)") == ones)
    for key in ["one", "many"] {
      #expect(console.type("CF.MEXISTS \(key) \(items)") == ones)
      #expect(console.type("CF.INFO \(key)").contains("+Number of filters :3 +Number of items inserted :4000"))
      #expect(console.type("CF.INFO \(key) CAPACITY") == "[:7168]")
    }
    // The same items in the same order make the same filter, but for the seed, which is the key's.
    let sizes = ["one", "many"].map { console.type("CF.INFO \($0)") }
    #expect(sizes[0] == sizes[1])
  }

  @Test("A filter keeps its time to live while it changes, and gets the default one when it is made")
  func lifetimes() {
    let console = CommandConsole()
    console.configure { $0.defaultTTLMilliseconds = 60_000 }
    #expect(console.type("CF.ADD f a") == ":1")
    #expect(console.type("TTL f") == ":60")
    #expect(console.type("EXPIRE f 10") == ":1")
    #expect(console.type("CF.RESERVE g 10 EXPANSION 1") == "+OK")
    #expect(console.type("PEXPIRE g 5000") == ":1")
    for item in 0..<30 { _ = console.type("CF.ADD g \(item)") }
    #expect(console.type("CF.INFO g CAPACITY") == "[:30]")
    #expect(console.type("PTTL g") == ":5000")
    console.loop.now += 5000
    #expect(console.type("CF.INFO g") == "-ERR not found")
    #expect(console.type("CF.ADD f b") == ":1")
    console.loop.now += 5000
    #expect(console.type("CF.EXISTS f a") == ":0")
  }

  @Test("A copy is a filter of its own, and a renamed one stays what it was")
  func copies() {
    let transcript = ##"""
      > CF.ADD f a
      :1
      > COPY f g
      :1
      > CF.ADD g b
      :1
      > CF.MEXISTS f a b
      [:1 :0]
      > CF.MEXISTS g a b
      [:1 :1]
      > RENAME g h
      +OK
      > CF.DEL h a
      :1
      > CF.MEXISTS h a b
      [:0 :1]
      > SET h string
      +OK
      > CF.EXISTS h b
      -WRONGTYPE Operation against a key holding the wrong kind of value
      """##
    #expect(differences(transcript) == [])
  }

  @Test("A value that no version of ours has made is refused")
  func foreign() {
    let console = CommandConsole()
    let store = console.node.store
    Array("f".utf8).withUnsafeBytes { name in
      let key = store.key(name, in: 0)
      let taken = store.lock(key, as: 1)
      #expect(store.put(key, over: nil, name, .none, type: .cuckooFilter) == .stored)
      store.unlock(key, taken)
    }
    let refusal = "-ERR the filter under this key has a form that this version does not know; delete it, or update"
    for line in ["CF.ADD f a", "CF.EXISTS f a", "CF.DEL f a", "CF.INSERT f ITEMS a b", "CF.RESERVE f 10"] {
      #expect(console.type(line) == refusal, "\(line)")
    }
  }
}
