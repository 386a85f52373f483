// Histories of a queue, judged by Porcupine: a second opinion on order, and what that costs.
//
//	porcupine-queue ORDER BOUND_S FILE...
//
// Reads files of JSON lines as `huey-harness export` writes them, and prints a line for each: whether some order of the
// enqueues and dequeues is one of a queue (`ok`, `illegal`, or `unknown` after BOUND_S), and the seconds
// of processor time that Porcupine took, reading left out. ORDER is priority-fifo, priority or fifo.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/anishathalye/porcupine"
)

type event struct {
	Time          int64
	Process, Type string
	F             string
	Task          *int64
	Entry         int64
	Priority      float64
}

// An entry of the queue. All entries are different.
type key struct{ task, entry int64 }

type item struct {
	key
	priority float64
}

// A call is an enqueue of an item, or a dequeue: of that item if it was seen, of any if nobody saw its end.
type call struct {
	item
	put, seen bool
}

// What is in the queue, who goes first in front. `hash` is that of the set, kept up item by item.
type queue struct {
	items []item
	hash  uint64
}

// Steps is the model: every queue that may be there after this call of that one.
func steps(order string) func(state, input, output interface{}) []interface{} {
	return func(state, input, _ interface{}) []interface{} {
		was, call := state.(queue), input.(call)
		if call.put {
			at := len(was.items)
			for at > 0 && goesBefore(order, call.item, was.items[at-1]) {
				at--
			}
			items := make([]item, 0, len(was.items)+1)
			items = append(append(append(items, was.items[:at]...), call.item), was.items[at:]...)
			return []interface{}{queue{items, was.hash ^ mixed(call.key)}}
		}
		if !call.seen && len(was.items) == 0 {
			return []interface{}{was} // it came back with nothing, if it ever came
		}
		var after []interface{}
		for at, one := range was.items {
			if at > 0 && (order != "priority" || one.priority < was.items[0].priority) {
				break
			}
			if call.seen && one.key != call.key {
				continue
			}
			items := was.items[1:]
			if at > 0 {
				items = append(append(make([]item, 0, len(was.items)-1), was.items[:at]...), was.items[at+1:]...)
			}
			after = append(after, queue{items, was.hash ^ mixed(one.key)})
		}
		return after
	}
}

// Whether one that is put now goes before another that is there. Where equal ones have no order, they are kept in
// that of their numbers, so that equal queues look equal.
func goesBefore(order string, one, other item) bool {
	switch {
	case order == "fifo":
		return false
	case one.priority != other.priority:
		return one.priority > other.priority
	case order == "priority-fifo":
		return false
	case one.task != other.task:
		return one.task < other.task
	}
	return one.entry < other.entry
}

// The finaliser of SplitMix64.
func mixed(one key) uint64 {
	x := uint64(one.task)*0x9e3779b97f4a7c15 + uint64(one.entry)
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

func equal(one, other interface{}) bool {
	a, b := one.(queue), other.(queue)
	if a.hash != b.hash || len(a.items) != len(b.items) {
		return false
	}
	for at := range a.items {
		if a.items[at].key != b.items[at].key {
			return false
		}
	}
	return true
}

func hash(state interface{}) uint64 { return state.(queue).hash }

// The model. That of sets of queues is slower, and needed only where a dequeue without an end has a choice.
func model(order string, choice bool) porcupine.Model {
	step := steps(order)
	if choice {
		sets := porcupine.NondeterministicModel{
			Init: func() []interface{} { return []interface{}{queue{}} }, Step: step, Equal: equal, Hash: hash,
		}
		return sets.ToModel()
	}
	return porcupine.Model{
		Init:  func() interface{} { return queue{} },
		Equal: equal,
		Hash:  hash,
		Step: func(state, input, output interface{}) (bool, interface{}) {
			if after := step(state, input, output); len(after) > 0 {
				return true, after[0]
			}
			return false, state
		},
	}
}

// The enqueues and dequeues of a file, but for those that certainly had no effect; and whether any dequeue was not seen
// to end. What was not may have its effect at any time.
func read(path string) ([]porcupine.Operation, bool, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, false, err
	}
	defer file.Close()
	var operations []porcupine.Operation
	open, unseen := map[string]int{}, false
	failed := map[int]bool{}
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		var line event
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			return nil, false, fmt.Errorf("%s: %w", path, err)
		}
		if line.F == "requeue" {
			return nil, false, fmt.Errorf("%s: has a requeue, of which this model knows nothing", path)
		}
		if line.F != "enqueue" && line.F != "dequeue" {
			continue
		}
		if line.Type == "invoke" {
			made := call{item: item{priority: line.Priority}, put: line.F == "enqueue"}
			if made.put {
				made.key = key{*line.Task, line.Entry}
			}
			open[line.Process] = len(operations)
			operations = append(operations, porcupine.Operation{Input: made, Call: line.Time, Return: math.MaxInt64})
			continue
		}
		at, found := open[line.Process]
		if !found {
			return nil, false, fmt.Errorf("%s: %s ends what it has not invoked", path, line.Process)
		}
		delete(open, line.Process)
		made := operations[at].Input.(call)
		switch line.Type {
		case "ok":
			operations[at].Return = line.Time
			if !made.put {
				made.key, made.seen = key{*line.Task, line.Entry}, true
				operations[at].Input = made
			}
		case "fail":
			failed[at] = true
		}
	}
	kept := operations[:0]
	for at, one := range operations {
		if made := one.Input.(call); !failed[at] {
			unseen = unseen || (!made.put && !made.seen)
			kept = append(kept, one)
		}
	}
	return kept, unseen, lines.Err()
}

// Processor time of all of this process so far.
func processor() time.Duration {
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		panic(err) // it is asked of the process itself
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// What Porcupine says. Its own time-out goes by the clock, which on a busy machine says little; here a model that allows
// nothing more makes an end of the search.
func judged(model porcupine.Model, operations []porcupine.Operation, bound time.Duration) string {
	var over atomic.Bool
	step := model.Step
	model.Step = func(state, input, output interface{}) (bool, interface{}) {
		if over.Load() {
			return false, state
		}
		return step(state, input, output)
	}
	until, done := processor()+bound, make(chan bool)
	go func() { done <- porcupine.CheckOperations(model, operations) }()
	ticks := time.NewTicker(10 * time.Millisecond)
	defer ticks.Stop()
	for {
		select {
		case found := <-done:
			switch {
			case found:
				return "ok"
			case over.Load():
				return "unknown"
			}
			return "illegal"
		case <-ticks.C:
			over.Store(processor() > until)
		}
	}
}

func run(order, bounded string, paths []string) error {
	if order != "priority-fifo" && order != "priority" && order != "fifo" {
		return fmt.Errorf("unknown order %q; there are priority-fifo, priority, fifo", order)
	}
	bound, err := strconv.ParseFloat(bounded, 64)
	if err != nil {
		return err
	}
	for _, path := range paths {
		operations, unseen, err := read(path)
		if err != nil {
			return err
		}
		chosen := model(order, unseen && order == "priority")
		began := processor()
		verdict := judged(chosen, operations, time.Duration(bound*float64(time.Second)))
		seconds := (processor() - began).Seconds()
		fmt.Printf("{\"verdict\": %q, \"seconds\": %.6f, \"operations\": %d}\n", verdict, seconds, len(operations))
	}
	return nil
}

func main() {
	if len(os.Args) < 4 {
		fmt.Fprintln(os.Stderr, "usage: porcupine-queue ORDER BOUND_S FILE...")
		os.Exit(64)
	}
	if err := run(os.Args[1], os.Args[2], os.Args[3:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(64)
	}
}
