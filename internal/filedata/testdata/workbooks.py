"""Writes workbooks that are not plain tables: workbooks.py FOLDER"""
import datetime, sys
import openpyxl

out = sys.argv[1] + "/"
def book(rows, title=None):
    b = openpyxl.Workbook()
    other = b.active
    other.title = "Notes"
    other.merge_cells("A1:Z9")
    other["A10"] = "=1+1"
    sheet = b.create_sheet("Clients")
    for row in ([title] if title else []) + rows:
        sheet.append(row)
    for cell in sheet["B"]:
        if cell.is_date:
            cell.number_format = "h:mm"
    return b, sheet

times = [datetime.time(8, 30), datetime.time(0, 0), datetime.time(23, 59), datetime.time(17, 20), datetime.time(8, 30)] * 4
rows = [["age", "at", "code", "left"]] + [[20 + i, t, "a" if i % 3 else "b", "yes" if i % 2 else "no"] for i, t in enumerate(times)]
b, sheet = book(rows)
b.save(out + "times.xlsx")

b, sheet = book(rows, title=["Customers of 2025"])
sheet.merge_cells("A1:D1")
b.save(out + "title.xlsx")

b, sheet = book(rows)
sheet.merge_cells("C2:C4")
sheet.merge_cells("C6:C7")
for i in range(2, 22):
    sheet[f"A{i}"] = f"=20+{i}"
b.save(out + "odd.xlsx")

# durations in every format, and beside them the CSV that they are
with_seconds = ["h:mm:ss", "hh:mm:ss", "[h]:mm:ss", "[hh]:mm:ss", "[h]:mm:ss;@", "mm:ss", "[mm]:ss", "mm:ss.0", '[$-407]hh:mm:ss',
    '[h]"h "mm"m "ss"s"', "[$-F400]h:mm:ss\\ AM/PM", "[<0.04]mm:ss;[h]:mm:ss", "[ss]"]
without = ["[hh]:mm", "[h]:mm", "h:mm", "h:mm AM/PM", '[h]"Std. "mm', "[$-409]h:mm\\ AM/PM;@", "hh:mm", "[mm]"]
lengths = [204, 5400, 90000, 295199, 0, 86399, 86400, 35] * 3
b = openpyxl.Workbook()
with open(out + "durations.csv", "w") as text:
    formats = with_seconds + without
    header = [f"c{i}" for i in range(len(formats))] + ["left"]
    b.active.append(header)
    print(*header, sep=",", file=text)
    for k, n in enumerate(lengths):
        b.active.append([datetime.timedelta(seconds=n)] * len(formats) + ["yes" if k % 2 else "no"])
        for cell, form in zip(b.active[k + 2], formats):
            cell.number_format = form
        short = f"{n // 3600}:{n // 60 % 60:02}"
        print(*[f"{short}:{n % 60:02}"] * len(with_seconds), *[short] * len(without), "yes" if k % 2 else "no", sep=",", file=text)
b.save(out + "durations.xlsx")

b = openpyxl.Workbook()
hours = [44999]
for _ in range(24):
    hours.append(hours[-1] + 1 / 24)  # 10:00 is a second less, and so is midnight
for row in [["since", "day", "month", "clock", "late", "left"]] + [[x, 45000, 45000, x, -1 / 48, "yes"] for x in hours]:
    b.active.append(row)
for column, form in [("A", "yyyy-mm-dd hh:mm"), ("B", "[$-407]d. mmmm yyyy;@"), ("C", "mmm"), ("D", "h:mm"), ("E", "[h]:mm")]:
    for cell in b.active[column][1:]:
        cell.number_format = form
b.save(out + "hours.xlsx")

b = openpyxl.Workbook()
for row in [["", "Usage", "", "Outcome"], ["id", "calls", "fee", "churn"]] + [[i, i * i % 7, i / 2, "yes" if i % 3 else "no"] for i in range(20)]:
    b.active.append(row)
b.active.merge_cells("B1:C1")
b.save(out + "headers.xlsx")

b, sheet = book(rows)
b.remove(b["Notes"])
b.save(out + "shown.xlsx")
for i in [4, 5, 9, 30]:  # the last has no cells
    sheet.row_dimensions[i].hidden = True
b.save(out + "hidden.xlsx")

b = openpyxl.Workbook()
for row in [["fee", "code", "churn"]] + [[["1.234", "7.000", 12, "0.125"][i % 4], ["1.234", "x"][i % 2], "yes" if i % 3 else "no"] for i in range(20)]:
    b.active.append(row)
b.save(out + "grouped.xlsx")

b = openpyxl.Workbook()
b.epoch = openpyxl.utils.datetime.CALENDAR_MAC_1904
b.active.append(["since", "at", "for", "left"])
b.active.append([datetime.date(1904, 1, 2), datetime.datetime(2026, 3, 14, 15, 9, 26), datetime.time(1, 30), "yes"])
b.save(out + "mac.xlsx")
