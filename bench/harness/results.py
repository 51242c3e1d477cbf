"""What was measured, what was asked of it, and how both are written down."""

import json
import os
import statistics

OURS = "nexuscache"
# Sections of a page that are filled independently of one another, each between its markers.
NODE, CLUSTER = "bench", "bench-cluster"


class Check:
    """A figure held against what is asked: `value` must be at least, or at most, `bound`."""

    def __init__(self, text, value, sense, bound, aim=False):
        self.text, self.value, self.sense, self.bound, self.aim = text, value, sense, bound, aim

    @property
    def passes(self):
        return self.value >= self.bound if self.sense == ">=" else self.value <= self.bound

    @property
    def verdict(self):
        if self.passes:
            return "PASS"
        if self.aim:
            return "short of the aim"
        return "BELOW" if self.sense == ">=" else "ABOVE"

    def cell(self):
        """As in the table."""
        bound = f"{'≥' if self.sense == '>=' else '≤'} {digits(self.bound)}{', an aim' if self.aim else ''}"
        return f"{self.text} **{digits(self.value)}** ({bound})" + ("" if self.passes else f" {self.verdict}")

    def line(self):
        word = "at least" if self.sense == ">=" else "at most"
        kind = "aim" if self.aim else "required"
        return f"{self.text}: {digits(self.value)} ({kind}: {word} {digits(self.bound)}) {self.verdict}"


class Row:
    """One cell: a figure per server."""

    def __init__(self, group, cell, unit, values, checks=(), remarks=(), samples=None, section=NODE):
        self.group, self.cell, self.unit = group, cell, unit
        self.values = values
        self.section = section
        self.checks = list(checks)
        self.remarks = list(remarks)
        self.samples = samples or {}

    def print(self):
        shown = "  ".join(f"{name} {digits(value)}" for name, value in self.values.items())
        print(f"  {self.cell} [{self.unit}]: {shown}")
        for check in self.checks:
            print(f"      {check.line()}")
        for remark in self.remarks:
            print(f"      {remark}")

    def as_json(self):
        return {
            "group": self.group, "cell": self.cell, "unit": self.unit, "values": self.values,
            "checks": [
                {
                    "text": check.text, "value": check.value, "sense": check.sense, "bound": check.bound,
                    "aim": check.aim, "passes": check.passes,
                }
                for check in self.checks
            ],
            "remarks": self.remarks, "samples": self.samples,
        }


def median(samples):
    return statistics.median(samples)


def digits(value):
    """Three significant digits, and no more than the figure needs."""
    if value is None:
        return "-"
    if isinstance(value, str):
        return value
    if value == 0:
        return "0"
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    if abs(value) >= 100:
        return f"{value:.0f}"
    if abs(value) >= 10:
        return f"{value:.1f}"
    return f"{value:.2f}" if abs(value) >= 1 else f"{value:.3f}"


def machine_sentence(machine):
    versions = ", ".join(version for version in machine["versions"].values() if version)
    return (
        f"{machine['cores']} cores of {machine['cpu']}, {machine['memory_gib']} GiB, {machine['system']}, "
        f"Linux {machine['kernel']}; {versions}; commit {machine['commit']}"
    )


def table(rows):
    """One table per group: a line per cell, a column per server."""
    text = ""
    for group in dict.fromkeys(row.group for row in rows):
        mine = [row for row in rows if row.group == group]
        servers = list(dict.fromkeys(name for row in mine for name in row.values))
        text += f"\n**{group}**\n\n"
        text += "| | unit | " + " | ".join(servers) + " | ratios |\n"
        text += "|---|---|" + "---|" * (len(servers) + 1) + "\n"
        for row in mine:
            figures = " | ".join(digits(row.values.get(name)) for name in servers)
            ratios = "; ".join(check.cell() for check in row.checks)
            text += f"| {row.cell} | {row.unit} | {figures} | {ratios} |\n"
    return text


def write(folder, machine, rows, notes, mode):
    os.makedirs(folder, exist_ok=True)
    failed = [check for row in rows for check in row.checks if not check.passes and not check.aim]
    head = f"Measured on {machine_sentence(machine)}; {mode} run."
    for section in (NODE, CLUSTER):
        mine = [row for row in rows if row.section == section]
        path = quoted_path(folder, section)
        if mine:
            with open(path, "w") as file:
                file.write(head + "\n" + table(mine))
        elif os.path.exists(path):
            os.remove(path)
    remarks = [f"- {row.cell}: {remark}" for row in rows for remark in row.remarks]
    report = "# Benchmarks\n\n" + head + "\n" + table(rows) + "\n"
    if remarks or notes:
        report += "\nRemarks\n\n" + "\n".join(remarks + [f"- {note}" for note in notes]) + "\n"
    with open(os.path.join(folder, "report.md"), "w") as file:
        file.write(report)
    everything = {"machine": machine, "mode": mode, "notes": notes, "rows": [row.as_json() for row in rows]}
    with open(os.path.join(folder, "report.json"), "w") as file:
        json.dump(everything, file, indent=1)
    return failed


def quoted_path(folder, section):
    return os.path.join(folder, f"{section}.md")


def markers(section):
    return f"<!-- {section}:begin -->", f"<!-- {section}:end -->"


def quote_in(path, folder):
    """Puts the last run's tables between their sections' markers in a page; answers the sections without markers."""
    with open(path) as file:
        page = file.read()
    homeless = []
    for section in (NODE, CLUSTER):
        if not os.path.exists(quoted_path(folder, section)):
            continue
        begin, end = markers(section)
        if begin not in page or end not in page:
            homeless.append(section)
            continue
        with open(quoted_path(folder, section)) as file:
            table_text = file.read()
        before, rest = page.split(begin, 1)
        _, after = rest.split(end, 1)
        page = f"{before}{begin}\n{table_text}{end}{after}"
    with open(path, "w") as file:
        file.write(page)
    return homeless
