"""Program texts for the tests of code: one small file a language, and random Python."""

import random

from hypothesis import strategies as st

SAMPLES = {
    "desk.java": """// A licence.

package com.acme.leave;

import java.util.List;

/** A desk. */
@Service
public class Desk {
    private final List<String> names;

    public Desk(List<String> names) {
        this.names = names;
    }

    @Override
    public String toString() {
        return "desk";
    }

    enum Kind { SICK, HOLIDAY }
}
""",
    "desk.go": """// Package leave counts days.
package leave

// Desk keeps days.
type Desk struct {
	days map[string]int
}

// Take takes a day.
func (d *Desk) Take(name string) error {
	return nil
}

func (l *List[T]) Push(x T) {
	fmt.Println(x)
}

func New() *Desk { return &Desk{} }
""",
    "desk.rs": """//! Crate.
use std::fmt;

/// A desk.
#[derive(Debug)]
pub struct Desk<T> {
    days: Vec<T>,
}

impl<T> fmt::Display for Desk<T> {
    /// Writes.
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "desk")
    }
}

mod inner {
    pub fn go() -> i32 {
        1
    }
}
""",
    "desk.ts": """import { x } from "y";

@Injectable()
export class Desk {
  constructor(private days: number) {
    this.days = days;
  }

  handler = async () => {
    return 1;
  };
}

export const later = async (n: number): Promise<void> => {
  await x(n);
};

namespace Deep {
  export function go() {
    return 2;
  }
}
""",
    "view.tsx": """export function View() {
  return <p>Hi</p>;
}
""",
    "desk.js": """module.exports.run = function (a) {
  return a;
};

const table = {
  first: function () {
    return 1;
  },
};
""",
    "desk.cpp": """#include <vector>

namespace acme {

// A desk.
template <typename T>
class Desk {
 public:
  int take(int n) const {
    return n;
  }
};

template <typename T>
int& Desk<T>::give(int a) {
  return a;
}

}  // namespace acme
""",
    "desk.c": """/* Counts. */
static int *count(struct desk *d)
{
  return d->days;
}
""",
    "desk.cs": """using System;

namespace Acme.Leave;

/// <summary>A desk.</summary>
[Serializable]
public class Desk
{
    public int Days { get; set; }

    [Obsolete]
    public int Take(int n)
    {
        return n;
    }
}
""",
    "desk.rb": """module Acme
  # A desk.
  class Desk < Base
    def initialize(days)
      @days = days
    end

    def self.make
      new(3)
    end
  end
end
""",
    "desk.php": """<?php
namespace Acme\\Leave;

/**
 * A desk.
 */
class Desk extends Base {
    public function take(int $n): int {
        return $n;
    }
}
""",
    "desk.sh": """#!/bin/bash
set -e

# Says hello.
hello() {
  echo hello
}
""",
    "desk.py": '''"""Desks."""

import os


# A desk.
@final
class Desk:
    """Counts days."""

    @property
    def days(self) -> int:
        return 1


def make() -> Desk:
    def inner() -> None:
        pass
    return Desk()
''',
}
_WORDS = ["apply", "budget", "cost", "draft", "every", "form", "grant", "hours", "issue", "joint", "keep", "leave"]


def function(rng: random.Random, name: str, *, statements: int, indent: str = "") -> str:
    """Write a function of so many statements, some of them with inner ones."""
    lines = [f"{indent}def {name}({', '.join(rng.sample(_WORDS, 2))}):"]
    for _ in range(statements):
        target, value = rng.choice(_WORDS), rng.choice(_WORDS)
        kind = rng.randrange(4)
        if kind == 0:
            lines += [f"{indent}    if {target} > {rng.randrange(99)}:", f"{indent}        {value} = {target} + 1"]
        else:
            lines.append(f"{indent}    {target} = {value}({rng.randrange(99)})")
    return "\n".join([*lines, f"{indent}    return {rng.choice(_WORDS)}"])


def module(seed: int, functions: int) -> list[str]:
    """Return the functions of a module, of every size."""
    rng = random.Random(seed)
    return [function(rng, f"{rng.choice(_WORDS)}_{n}", statements=rng.randrange(1, 14)) for n in range(functions)]


@st.composite
def python_texts(draw: st.DrawFn) -> str:
    """Draw a module: functions, classes with methods, comments, long texts, and now and then something broken."""
    rng = random.Random(draw(st.integers(min_value=0, max_value=100_000)))
    pieces = []
    for n in range(draw(st.integers(min_value=1, max_value=8))):
        kind = draw(st.sampled_from(["function", "function", "class", "comment", "text", "broken"]))
        if kind == "class":
            methods = [function(rng, f"m{k}", statements=rng.randrange(12), indent="    ") for k in range(4)]
            pieces.append(f"# About it.\n@mark\nclass Thing{n}(Base):\n" + "\n\n".join(methods))
        elif kind == "function":
            pieces.append(function(rng, f"do_{n}", statements=rng.randrange(30)))
        elif kind == "comment":
            pieces.append("# " + " ".join(rng.choices(_WORDS, k=rng.randrange(1, 90))))
        elif kind == "text":
            pieces.append('NAME = """' + "\n\n".join(" ".join(rng.choices(_WORDS, k=20)) for _ in range(8)) + '"""')
        else:
            pieces.append(draw(st.sampled_from(["def (:", "}}}", "x = (", "class", "'"])))
    return draw(st.sampled_from(["\n", "\n\n", "\n\n\n"])).join(pieces) + draw(st.sampled_from(["", "\n"]))
