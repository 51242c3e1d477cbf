import NexusModel

// Who sees whom.

extension ReplicaWorld {
  /// After anything that may have changed who reaches whom.
  func look() {
    noteLives()
    let count = settings.members
    let up = (0..<count).map { world.nodes[$0] != nil && !world.isPaused($0) }
    var now = (0..<count).map { one in
      (0..<count).map { other in
        one == other || up[one] && up[other] && !world.network.isCut(one, other) && !world.network.isCut(other, one)
      }
    }
    for middle in 0..<count {
      for one in 0..<count where now[one][middle] {
        for other in 0..<count where now[middle][other] { now[one][other] = true }
      }
    }
    guard now != reachable else { return }
    reachable = now
    for host in 0..<count { pictureDue[host] = min(pictureDue[host], world.now + random.within(100_000...1_300_000)) }
  }

  private func noteLives() {
    for host in 0..<settings.members {
      let life = world.nodes[host].map { Int($0.startedAt) / 100_000 + 1 } ?? 0
      if life == lives[host] { continue }
      notePassing()
      if lives[host] != 0 {
        ledger.memoryLost(of: host, left: nodes.filter { $0.index != host }, world.now / 1000)
      }
      lives[host] = life
      deadSince[host] = life == 0 ? world.now : nil
      seen[host] = []
      accusers[host] = []
      refreshDue[host] = .max
      pictureDue[host] = min(pictureDue[host], world.now + random.within(100_000...700_000))
      reachable = []
    }
  }

  func showPictures() {
    for host in pictureDue.indices {
      let isDue = pictureDue[host] <= world.now
      if refreshDue[host] <= world.now {
        show(host)
        refreshDue[host] = .max
        if seen[host].count > 1 || reachable[host].count(where: { $0 }) == 1 {
          act(host) { node, now in if node.wantsRefresh { node.refreshed(now: now) } }
        } else {
          attend(host)
        }
      } else if isDue {
        show(host)
      }
      if isDue { pictureDue[host] = .max }
    }
  }

  private func show(_ host: Int) {
    guard world.nodes[host] != nil, !world.isPaused(host) else { return }
    let live = Set((0..<settings.members).filter { reachable[host][$0] })
    var standings: [(status: ReplicaPicture.Status, life: Int)] = []
    for other in 0..<settings.members {
      let isOld = deadSince[other].map { (world.now - $0) / 1000 >= settings.forgetMilliseconds } ?? false
      standings.append(live.contains(other) ? (.alive, lives[other]) : (isOld ? .forgotten : .dead, 0))
      if !live.contains(other), world.nodes[other] != nil, seen[host].contains(other) {
        accusers[other].insert(host)
      }
    }
    // Who is not forgotten yet may be later.
    if settings.forgetMilliseconds != .max, standings.contains(where: { $0.status == .dead }) {
      pictureDue[host] = world.now + 500_000
    }
    seen[host] = live
    let key = standings.map { Int($0.status.rawValue) << 16 | $0.life }
    let picture =
      pictures[key] ?? ReplicaPicture(standings, slotCount: settings.slotCount, copies: settings.copies)
    pictures[key] = picture
    let isTold = !accusers[host].isDisjoint(with: live)
    if isTold { accusers[host] = [] }
    act(host) { node, now in
      if isTold { node.beAway(now: now) }
      node.see(picture, now: now)
    }
  }
}
