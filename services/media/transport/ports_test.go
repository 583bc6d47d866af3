package transport

import (
	"errors"
	"testing"
	"time"
)

func TestPortsComeInPairsAndSingly(t *testing.T) {
	now := time.Now()
	p := newPorts(1001, 1008) // 1001 is the odd half of a pair whose even half is not ours
	for range 3 {
		port, err := p.takePair()
		if err != nil || port < 1002 || port > 1006 || port%2 != 0 {
			t.Fatalf("pair at %d, %v: want an even port from 1002 to 1006", port, err)
		}
	}
	if _, err := p.takePair(); !errors.Is(err, errNoPort) {
		t.Errorf("a pair of the ports 1001 and 1008: %v, want %v", err, errNoPort)
	}
	seen := map[int]bool{}
	for range 2 {
		port, err := p.takeOne(now)
		if err != nil {
			t.Fatal(err)
		}
		seen[port] = true
	}
	if !seen[1001] || !seen[1008] {
		t.Errorf("single ports %v, want 1001 and 1008", seen)
	}
	if _, err := p.takeOne(now); !errors.Is(err, errNoPort) {
		t.Errorf("a port of none: %v, want %v", err, errNoPort)
	}
	p.giveBack(1004, 2, now)
	if port, err := p.takePair(); port != 1004 || err != nil {
		t.Errorf("pair at %d, %v: want 1004 again", port, err)
	}
}

func TestAPortRestsWhileThereIsAnother(t *testing.T) {
	now := time.Now()
	p := newPorts(2000, 2019)
	last := -1
	for i := range 9 {
		port, err := p.takeOne(now)
		if err != nil {
			t.Fatal(err)
		}
		if port == last {
			t.Fatalf("port %d was given out again at once, the %d. time", port, i)
		}
		p.giveBack(port, 1, now)
		last = port
	}
	// After the rest the two halves of broken pairs come first, so that whole pairs last.
	one, _ := p.takeOne(now)
	two, _ := p.takeOne(now.Add(2 * restTime))
	if one/2 != two/2 {
		t.Errorf("ports %d and %d: want both of one pair", one, two)
	}
}

func TestPortsAreGivenOutInNoFixedOrder(t *testing.T) {
	orders := map[[4]int]bool{}
	for range 20 {
		p := newPorts(3000, 3999)
		var order [4]int
		for i := range order {
			order[i], _ = p.takePair()
		}
		orders[order] = true
	}
	if len(orders) < 2 {
		t.Errorf("twenty slices give the same first ports")
	}
}

// Whatever is taken and given back, in any order, no port is given twice and all are found at the end.
func FuzzPorts(f *testing.F) {
	f.Add([]byte{0, 1, 2, 3, 0, 0, 1, 1, 2, 2}, uint8(0), uint8(9))
	f.Add([]byte{0, 0, 2, 0, 1, 3, 2}, uint8(1), uint8(4))
	f.Fuzz(func(t *testing.T, moves []byte, first, count uint8) {
		p := newPorts(5000+int(first), 5000+int(first)+int(count))
		now := time.Now()
		type taken struct{ port, count int }
		var all []taken
		used := map[int]bool{}
		take := func(port, n int, err error) {
			if err != nil {
				return
			}
			for i := range n {
				if used[port+i] || port+i < 5000+int(first) || port+i > 5000+int(first)+int(count) {
					t.Fatalf("port %d of %d to %d is given, used %v", port+i, 5000+int(first), 5000+int(first)+int(count), used[port+i])
				}
				used[port+i] = true
			}
			all = append(all, taken{port, n})
		}
		for _, m := range moves {
			now = now.Add(time.Duration(m) * time.Second / 4)
			switch {
			case m%4 == 0:
				port, err := p.takePair()
				take(port, 2, err)
			case m%4 == 1:
				port, err := p.takeOne(now)
				take(port, 1, err)
			case len(all) > 0:
				i := int(m) % len(all)
				p.giveBack(all[i].port, all[i].count, now)
				for n := range all[i].count {
					delete(used, all[i].port+n)
				}
				all = append(all[:i], all[i+1:]...)
			}
		}
		for {
			port, err := p.takeOne(now)
			if err != nil {
				break
			}
			take(port, 1, nil)
		}
		if len(used) != int(count)+1 {
			t.Fatalf("%d of %d ports were given before one was refused", len(used), int(count)+1)
		}
	})
}
