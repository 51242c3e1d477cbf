import Testing

@Suite("Values are edited as Redis does")
struct EditingStories {
  @Test("APPEND adds to the end and keeps the TTL")
  func appendAddsToTheEndAnd() {
    let transcript = ##"""
      > APPEND a ""
      :0
      > EXISTS a
      :1
      > APPEND a Hello
      :5
      > APPEND a " World"
      :11
      > GET a
      "Hello World"
      > EXPIREAT a 99999999999
      :1
      > APPEND a !
      :12
      > EXPIRETIME a
      :99999999999
      > STRLEN a
      :12
      """##
    #expect(differences(transcript) == [])
  }

  @Test("GETRANGE cuts off what lies outside")
  func getrangeCutsOffWhatLiesOutside() {
    let transcript = ##"""
      > SET a "This is a string"
      +OK
      > GETRANGE a 0 3
      "This"
      > GETRANGE a -3 -1
      "ing"
      > GETRANGE a 0 -1
      "This is a string"
      > GETRANGE a 10 100
      "string"
      > GETRANGE a 100 200
      ""
      > GETRANGE a 5 3
      ""
      > GETRANGE a -1 -5
      ""
      > GETRANGE a -100 3
      "This"
      > GETRANGE a -100 -200
      ""
      > GETRANGE a 3 -100
      ""
      > GETRANGE a -9223372036854775808 9223372036854775807
      "This is a string"
      > GETRANGE a x 1
      -ERR value is not an integer or out of range
      > GETRANGE a 1 x
      -ERR value is not an integer or out of range
      > GETRANGE nokey 0 -1
      ""
      > SUBSTR a 1 2
      "hi"
      """##
    #expect(differences(transcript) == [])
  }

  @Test("SETRANGE fills gaps with zeros and checks before it allocates")
  func setrangeFillsGapsWithZerosAnd() {
    let transcript = ##"""
      > SETRANGE a 0 ""
      :0
      > EXISTS a
      :0
      > SETRANGE a 3 abc
      :6
      > GET a
      "\x00\x00\x00abc"
      > SETRANGE a 1 xy
      :6
      > GET a
      "\x00xyabc"
      > SETRANGE a 0 ""
      :6
      > SETRANGE a -1 x
      -ERR offset is out of range
      > SETRANGE a x x
      -ERR value is not an integer or out of range
      > SETRANGE a 536870912 x
      -ERR string exceeds maximum allowed size (proto-max-bulk-len)
      > SETRANGE a 536870911 xx
      -ERR string exceeds maximum allowed size (proto-max-bulk-len)
      > SETRANGE a 9223372036854775807 x
      -ERR string exceeds maximum allowed size (proto-max-bulk-len)
      > SETRANGE a 536870912 ""
      :6
      > SETRANGE nokey 536870912 ""
      :0
      > STRLEN a
      :6
      > EXPIREAT a 99999999999
      :1
      > SETRANGE a 10 long
      :14
      > EXPIRETIME a
      :99999999999
      """##
    #expect(differences(transcript) == [])
  }

  @Test("Counting is in 64 bits and in the strict form of integers")
  func countingIsIn64BitsAnd() {
    let transcript = ##"""
      > INCR a
      :1
      > INCRBY a 41
      :42
      > DECR a
      :41
      > DECRBY a 50
      :-9
      > INCRBY a -1
      :-10
      > DECRBY a -9223372036854775808
      -ERR decrement would overflow
      > INCRBY a 9223372036854775807
      :9223372036854775797
      > INCRBY a 10
      :9223372036854775807
      > SET a 9223372036854775806
      +OK
      > INCR a
      :9223372036854775807
      > INCR a
      -ERR increment or decrement would overflow
      > SET a -9223372036854775807
      +OK
      > DECR a
      :-9223372036854775808
      > DECR a
      -ERR increment or decrement would overflow
      > INCRBY a x
      -ERR value is not an integer or out of range
      > INCRBY a 1.5
      -ERR value is not an integer or out of range
      > INCRBY a +5
      -ERR value is not an integer or out of range
      > SET a " 1"
      +OK
      > INCR a
      -ERR value is not an integer or out of range
      > SET a 007
      +OK
      > INCR a
      -ERR value is not an integer or out of range
      > SET a -0
      +OK
      > INCR a
      -ERR value is not an integer or out of range
      > SET a ""
      +OK
      > INCR a
      -ERR value is not an integer or out of range
      > SET a 9
      +OK
      > EXPIREAT a 99999999999
      :1
      > INCR a
      :10
      > DECR a
      :9
      > EXPIRETIME a
      :99999999999
      """##
    #expect(differences(transcript) == [])
  }

  @Test("INCRBYFLOAT adds as long doubles and writes no exponent")
  func incrbyfloatAddsAsLongDoublesAnd() {
    let transcript = ##"""
      > INCRBYFLOAT a 10.5
      "10.5"
      > INCRBYFLOAT a 0.1
      "10.6"
      > INCRBYFLOAT a -10.6
      "0"
      > SET a 5.0e3
      +OK
      > INCRBYFLOAT a 2.0e2
      "5200"
      > SET a 0
      +OK
      > INCRBYFLOAT a 1e-17
      "0.00000000000000001"
      > INCRBYFLOAT a -1e-18
      "0.00000000000000001"
      > SET a 3
      +OK
      > INCRBYFLOAT a 1.1
      "4.1"
      > SET a 1e20
      +OK
      > INCRBYFLOAT a 1
      "100000000000000000000"
      > SET a 0x10
      +OK
      > INCRBYFLOAT a 1
      "17"
      > INCRBYFLOAT a -0
      "17"
      > SET z 0
      +OK
      > INCRBYFLOAT z -0
      "0"
      > INCRBYFLOAT a x
      -ERR value is not a valid float
      > INCRBYFLOAT a nan
      -ERR value is not a valid float
      > INCRBYFLOAT a inf
      -ERR increment would produce NaN or Infinity
      > INCRBYFLOAT a " 1"
      -ERR value is not a valid float
      > INCRBYFLOAT a "1 "
      -ERR value is not a valid float
      > INCRBYFLOAT a ""
      -ERR value is not a valid float
      > INCRBYFLOAT a 1e5000
      -ERR value is not a valid float
      > INCRBYFLOAT a 1e-5000
      -ERR value is not a valid float
      > SET a abc
      +OK
      > INCRBYFLOAT a 1
      -ERR value is not a valid float
      > SET a ""
      +OK
      > INCRBYFLOAT a 1
      -ERR value is not a valid float
      > SET a 1
      +OK
      > EXPIREAT a 99999999999
      :1
      > INCRBYFLOAT a 1.5
      "2.5"
      > EXPIRETIME a
      :99999999999
      """##
    #expect(differences(transcript) == [])
  }

  @Test("LCS finds what two values share")
  func lcsFindsWhatTwoValuesShare() {
    let transcript = ##"""
      > MSET a ohmytext b mynewtext
      +OK
      > LCS a b
      "mytext"
      > LCS a b LEN
      :6
      > LCS a b IDX
      ["matches" [[[:4 :7] [:5 :8]] [[:2 :3] [:0 :1]]] "len" :6]
      > LCS a b idx minmatchlen 4
      ["matches" [[[:4 :7] [:5 :8]]] "len" :6]
      > LCS a b IDX MINMATCHLEN 4 WITHMATCHLEN
      ["matches" [[[:4 :7] [:5 :8] :4]] "len" :6]
      > LCS a b IDX WITHMATCHLEN
      ["matches" [[[:4 :7] [:5 :8] :4] [[:2 :3] [:0 :1] :2]] "len" :6]
      > LCS a b MINMATCHLEN -1
      "mytext"
      > LCS a b MINMATCHLEN x
      -ERR value is not an integer or out of range
      > LCS a b IDX LEN
      -ERR If you want both the length and indexes, please just use IDX.
      > LCS a b foo
      -ERR syntax error
      > LCS a b MINMATCHLEN
      -ERR syntax error
      > LCS nokey b
      ""
      > LCS nokey other IDX
      ["matches" [] "len" :0]
      > LCS nokey b LEN
      :0
      > LCS a a IDX WITHMATCHLEN
      ["matches" [[[:0 :7] [:0 :7] :8]] "len" :8]
      > SET c xaybzc
      +OK
      > SET d abc
      +OK
      > LCS c d IDX WITHMATCHLEN
      ["matches" [[[:5 :5] [:2 :2] :1] [[:3 :3] [:1 :1] :1] [[:1 :1] [:0 :0] :1]] "len" :3]
      > LCS d c IDX WITHMATCHLEN
      ["matches" [[[:2 :2] [:5 :5] :1] [[:1 :1] [:3 :3] :1] [[:0 :0] [:1 :1] :1]] "len" :3]
      """##
    #expect(differences(transcript) == [])
  }

  @Test("LCS refuses what would take Redis more than half a gigabyte")
  func lcsRefusesWhatWouldTakeRedis() {
    let transcript = ##"""
      > SETRANGE a 11584 x
      :11585
      > LCS a a LEN
      -ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len
      > LCS a a
      -ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len
      """##
    #expect(differences(transcript) == [])
  }
}
