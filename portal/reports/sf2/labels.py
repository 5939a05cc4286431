"""Fixed texts of School Form 2 and their cells: columns A to AU, rows by their offset from the combined totals, as in
LIS (`school_form_2_ver2014.2.1.1`), with the form's own spelling.

The form for senior high school (SF2-SHS, DO 58 s. 2017) has its own title, fields and summary; its cells in LIS are
unknown, so the same columns are used.
"""

SHEET = "school_form_2_ver2014.2.1.1"
MONTHS = (
    "JANUARY", "FEBRUARY", "MARCH", "APRIL", "MAY", "JUNE", "JULY", "AUGUST", "SEPTEMBER", "OCTOBER", "NOVEMBER",
    "DECEMBER",
)  # fmt: skip
# First columns of the 25 day slots and, where a slot is wider, its last one; widths in characters.
SLOTS = (
    "F:G", "H", "I", "J", "K", "L:M", "N", "O", "P", "Q", "R:S", "T", "U", "V:W", "X:Y", "Z:AA", "AB", "AC", "AD",
    "AE", "AF", "AG:AH", "AI", "AJ", "AK:AL",
)  # fmt: skip
WIDTHS = (
    "A1.7", "B1.3", "C14.1", "D8.7", "E.2", "F.8", "G2", "H2.9", "I2.9", "J2.9", "K2.9", "L2.5", "M.3", "N2.9",
    "O2.9", "P2.9", "Q2.9", "R.8", "S2", "T2.9", "U2.9", "V.7", "W2.2", "X1.2", "Y1.7", "Z1.7", "AA1.2", "AB2.9",
    "AC2.9", "AD2.9", "AE2.9", "AF2.9", "AG2.7", "AH.2", "AI2.9", "AJ2.9", "AK1.2", "AL1.7", "AM1.7", "AN5", "AO5",
    "AP1.7", "AQ10.1", "AR3.4", "AS3.4", "AT6.7", "AU.3",
)  # fmt: skip
HEADINGS = (
    ("A1:AU1", "School Form 2 (SF2) Daily Attendance Report of Learners"),
    ("A2:AU2", "(This replaces Form 1, Form 2 & STS Form 4 - Absenteeism and Dropout Profile)"),
    ("A3:D3", "School ID "),
    ("J3:L3", "School Year "),
    ("S3:Z3", "Report for the Month of"),
    ("A4:D4", "Name of School"),
    ("S4:Z4", "Grade Level"),
    ("AI4:AL4", "Section "),
    ("A5:B7", "No."),
    ("C5:E7", "NAME\n(Last Name, First Name, Middle Name)"),
    ("F5:AL5", "(1st row for date)"),
    ("AM5:AP6", "Total for the Month"),
    ("AM7:AN7", "ABSENT"),
    (
        "AQ5:AU7",
        "REMARKS (If DROPPED OUT, state reason, please refer to legend number 2. If TRANSFERRED IN/OUT, write the name "
        "of School.)",
    ),
)
# For senior high school: rows 1 to 4, and the remarks; fields that the portal has no data for are left blank.
SHS_HEADINGS = (
    ("A1:AU1", "School Form 2 Daily Attendance Report of Learners for Senior High School (SF2-SHS)"),
    ("A2:C2", "School Name"),
    ("U2:W2", "School ID"),
    ("AB2:AC2", "District"),
    ("AI2:AK2", "Division"),
    ("AR2:AS2", "Region"),
    ("A3:C3", "Semester"),
    ("F3:I3", "School Year"),
    ("N3:P3", "Grade Level"),
    ("U3:X3", "Track and Strand"),
    ("A4:C4", "Section"),
    ("N4:T4", "Course/s (only for TVL)"),
    ("AI4:AN4", "Month of"),
    *((where, words) for where, words in HEADINGS if where[-1] in "567" and not where.startswith("AQ")),
    (
        "AQ5:AU7",
        "REMARKS (1. If NLS, state reason, refer to legend number 2. 2. If TRANSFERRED IN/OUT, write the name of "
        "School. 3. If SHIFTING IN/OUT, write the track, strand or program.)",
    ),
)
# Ranges relative to the combined totals: {1} is the row below.
BELOW = (
    ("A{1}:Y{1}", "GUIDELINES:"),
    (
        "A{2}:Y{2}",
        "1. The attendance shall be accomplished daily. Refer to the codes for checking learners' attendance.",
    ),
    ("A{3}:Y{3}", "2. Dates shall be written in the columns after Learner's Name."),
    ("A{4}:Y{4}", "3. To compute the following:"),
    (
        "A{6}:Y{8}",
        "a. Percentage of Enrolment = Registered Learners as of end of the month / Enrolment as of 1st Friday"
        " of the school year x 100",
    ),
    (
        "A{9}:Y{10}",
        "b. Average Daily Attendance = Total Daily Attendance / Number of School Days in reporting month",
    ),
    (
        "A{11}:Y{13}",
        "c. Percentage of Attendance for the month = Average daily attendance / Registered Learners as of end"
        " of the month x 100",
    ),
    (
        "A{14}:Y{17}",
        "4. Every end of the month, the class adviser will submit this form to the office of the principal "
        "for recording of summary table into School Form 4. Once signed by the principal, this form should be"
        " returned to the adviser.\n5. The adviser will provide neccessary interventions including but not "
        "limited to home visitation to learner/s who were absent for 5 consecutive days and/or those at risk "
        "of dropping out.\n6.  Attendance performance of learners will be reflected in Form 137 and Form 138 "
        "every grading period.",
    ),
    ("B{18}:Y{18}", "*Beginning of School Year cut-off report is every 1st Friday of the School Year"),
    ("Z{1}:AL{1}", "1. CODES FOR CHECKING ATTENDANCE"),
    (
        "Z{2}:AL{3}",
        "(blank) - Present; (x)- Absent; Tardy (half shaded= Upper for Late Commer, Lower for Cutting Classes)",
    ),
    ("Z{4}:AL{5}", "2. REASONS/CAUSES FOR NLS"),
    ("Z{6}:AL{7}", "a. Domestic-Related Factors"),
    (
        "Z{8}:AL{11}",
        "a.1 Had to take care of siblings\na.2 Early marriage/pregnancy\na.3 Parents' attitude toward "
        "schooling\na.4 Family problems",
    ),
    ("Z{12}:AL{12}", "b. Individual-Related Factors"),
    (
        "Z{13}:AL{17}",
        "b.1 Illness   b.2 Overage\nb.3 Death   b.4 Drug Abuse\nb.5 Poor academic performance\nb.6 Lack of "
        "interest/Distractions\nb.7 Hunger/Malnutrition",
    ),
    ("Z{18}:AL{19}", "c. School-Related Factors"),
    ("Z{20}:AL{23}", "c.1 Teacher Factor\nc.2 Physical condition of classroom\nc.3 Peer influence"),
    ("Z{24}:AL{24}", "d. Geographic/Environmental"),
    (
        "Z{25}:AL{26}",
        "d.1 Distance between home and school  d.2 Armed conflict (incl. Tribal wars & clanfeuds)  d.3 "
        "Calamities/Disasters",
    ),
    ("Z{27}:AL{27}", "e. Financial-Related"),
    ("Z{28}:AL{28}", "e.1 Child labor, work"),
    ("Z{29}:AL{29}", "f. Others (Specify)"),
    ("AR{1}:AU{1}", "Summary"),
    ("AR{2}", "M"),
    ("AS{2}", "F"),
    ("AT{2}:AU{2}", "TOTAL"),
    ("AM{24}:AU{24}", "I certify that this is a true and correct report."),
    ("AN{28}:AT{28}", "(Signature of Adviser over Printed Name)"),
    ("AM{30}:AQ{30}", "Attested by:"),
    ("AN{33}:AT{33}", "(Signature of School Head over Printed Name)"),
)
CENTRED = ("AR{1}", "AR{2}", "AS{2}", "AT{2}", "AN{28}", "AN{33}")
BOLD = ("A{1}", "Z{1}", "Z{4}", "Z{6}", "Z{12}", "Z{18}", "Z{24}", "Z{27}", "Z{29}", "AR{1}", "AR{2}", "AS{2}", "AT{2}")
# Lines of the summary: first and last offset, the texts with their columns, the Sf2Summary attribute.
SUMMARY = (
    (3, 4, (("AM", "AQ", "* Enrolment as of (1st Friday of the SY)"),), "enrolment"),
    (5, 8, (("AM", "AO", "Late enrolment "), ("AP", "AQ", "during the month\n(beyond cut-off)")), "late"),
    (9, 10, (("AM", "AQ", "Registered Learners as of\nend of month"),), "registered"),
    (11, 12, (("AM", "AQ", "Percentage of Enrolment as of end of month"),), "enrolment_rate"),
    (13, 14, (("AM", "AQ", "Average Daily Attendance"),), "average_daily_attendance"),
    (15, 15, (("AM", "AQ", "Percentage of Attendance for the month"),), "attendance_rate"),
    (16, 16, (("AM", "AQ", "Number of students absent for 5 consecutive days"),), "absent_in_a_row"),
    (17, 18, (("AM", "AQ", "Dropped out"),), "left"),
    (19, 20, (("AM", "AQ", "Transferred out"),), "transferred_out"),
    (21, 21, (("AM", "AQ", "Transferred in"),), "transferred_in"),
)
SHIFTED = ((22, "Shifted out"), (23, "Shifted in"))  # of senior high school; the portal has no data on them
TARDY_WORDS = {"late": "Tardy: late", "cutting": "Tardy: left early", "both": "Tardy: late, and left early"}
