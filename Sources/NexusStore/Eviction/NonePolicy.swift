/// Nobody leaves. The entries are kept in a list all the same, for the policy that may follow.
struct NonePolicy: SingleListPolicy {
  var list = LaneList()

  mutating func nextVictim<Items: ItemAccess>(_ items: Items) -> UInt32 { 0 }
}
