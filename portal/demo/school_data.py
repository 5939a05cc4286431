"""A fictitious school with fictitious people, for the demo, the samples and the tests.

All names, numbers and addresses are invented and fixed. LRNs begin with 3001232.
"""

from dataclasses import dataclass
from typing import Literal

from portal.classes.lis_names import lis_name, split_lis_name
from portal.classes.roster_files.template_csv import roster_csv_template

Sex = Literal["M", "F"]

SCHOOL_YEAR = "2026-2027"
DEMO_PASSWORD = "try-silid-2026"  # noqa: S105 - printed on the sign-in page of the demo only


@dataclass(frozen=True)
class DemoSchool:
    """A school with its DepEd ID, division and region."""

    deped_id: str
    name: str
    division: str
    region: str


@dataclass(frozen=True)
class DemoPerson:
    """A teacher, or an admin of the school or the region."""

    email: str
    first_name: str
    last_name: str
    role: Literal["teacher", "admin"] = "teacher"
    scope: Literal["school", "region"] | None = None

    @property
    def name(self) -> str:
        return f"{self.first_name} {self.last_name}"


@dataclass(frozen=True)
class DemoLearner:
    """A learner: 12-digit LRN and the parts of the name in capitals, as LIS prints them."""

    lrn: str
    last: str
    first: str
    middle: str
    extension: str
    sex: Sex

    @property
    def lis_name(self) -> str:
        return lis_name(self.last, self.first, self.middle, self.extension)


@dataclass(frozen=True)
class DemoSection:
    """A section with its adviser and its learners in LIS order: males first, each sex by name."""

    grade_level: str
    name: str
    adviser: DemoPerson
    learners: tuple[DemoLearner, ...]

    @property
    def title(self) -> str:
        return f"{self.grade_level} - {self.name}"

    def of_sex(self, sex: Sex) -> tuple[DemoLearner, ...]:
        return tuple(learner for learner in self.learners if learner.sex == sex)


SCHOOL = DemoSchool("300123", "San Nicolas National High School", "Ilocos Norte", "Region I")

REYES = DemoPerson("ma.teresa.reyes@r1.deped.gov.ph", "Ma. Teresa C.", "Reyes")
PENA = DemoPerson("arnulfo.pena@r1.deped.gov.ph", "Arnulfo", "Peña")
BANEZ = DemoPerson("grace.banez@r1.deped.gov.ph", "Grace", "Bañez")
HEAD = DemoPerson("lourdes.asuncion@r1.deped.gov.ph", "Lourdes P.", "Asunción", "admin", "school")
REGION = DemoPerson("rogelio.abad@r1.deped.gov.ph", "Rogelio M.", "Abad-Villanueva", "admin", "region")
TEACHERS = (REYES, PENA, BANEZ)
PEOPLE = (*TEACHERS, HEAD, REGION)

# Label, address and password of the accounts on the demo's sign-in page.
SIGN_INS = (
    ("Ma. Teresa C. Reyes, teacher", REYES.email, DEMO_PASSWORD),
    ("Arnulfo Peña, teacher", PENA.email, DEMO_PASSWORD),
    ("Grace Bañez, teacher", BANEZ.email, DEMO_PASSWORD),
    ("Lourdes P. Asunción, school head", HEAD.email, DEMO_PASSWORD),
    ("Rogelio M. Abad-Villanueva, regional office", REGION.email, DEMO_PASSWORD),
)

_JADEITE_MALES = """
ABAD,JUSTINE KYLE, MANGAOANG
AGBAYANI,JOHN PAUL, RAMOS
ANCHETA,MARK ANGELO, DOMINGO
BAUTISTA,PRINCE JOSHUA, GALANG
BUMANGLAG,CHRISTIAN JAKE, PASCUAL
CABANILLA,RENZ MARION, -
CASTRO,JOHN LLOYD, DE GUZMAN
CORPUZ,EMMANUEL, JR AGUSTIN
DE LOS REYES,KARL VINCENT, STA. MARIA
DELA CRUZ,JUAN MIGUEL, VALDEZ
DOMINGO,JAYSON, TABIOS
ESPAÑOL,RAFAEL LUIS, QUIAOIT
FERNANDEZ,ALDRIN, CACAYORIN
GALVEZ,NATHANIEL, UDARBE
IBAÑEZ,CARLO MIGUEL, PERALTA
LAGMAY,JOEMAR, BUENO
MANZANO,DARYL JAMES, SORIANO
MUÑOZ,GABRIEL ANTONIO, LLANES
NACINO,XYRUS, BALUYOT
OCAMPO,LANCE ADRIAN, TOLENTINO
PAGUIRIGAN,RALPH EMIL, DACUYCUY
PEÑA,JEROME, ABELLA
QUIBILAN,MARVIN, SAGUN
RAMIREZ,ZEDRICK, ORPILLA
TUMBAGA,REYMART, VIERNES
VALDEZ,IVAN KENNETH, BAGAOISAN
"""
_JADEITE_FEMALES = """
ACOSTA,PRINCESS MAE, LAZO
AQUINO,BEA ANGELICA, MANUEL
BALLESTEROS,JILLIAN, CARIAGA
BAUTISTA,PRINCESS JOYCE, GALANG
CALUYA,ANGEL GRACE, DUMLAO
CARIÑO,SOFIA LOREEN, HIPOLITO
DELA CRUZ-VILLANUEVA,MA. CRISTINA ANTONETTE, SAN AGUSTIN
DIZON,ERICH JOY, MAGNO
ESTEBAN,KRISTINE, GAMIAO
FLORES,NICOLE ANNE, TUGADE
GAMBOA,SHAIRA, PAGADUAN
GUZMAN,LOVELY ROSE, BAYLON
LORENZO,ALTHEA, RABANG
MAGSAYSAY,TRISHA MAE, DOLDOLEA
NAVARRO,RHIAN, CORTEZ
ORDOÑEZ,HAZEL ANN, PADRE
PASCUA,MIKAELA, RUMBAOA
RAMOS,JHOANNA MARIE, SABADO
SALVADOR,ELLA MAE, INOCENCIO
STA. ANA,ROSE ANN, MADARANG
TOLEDO,FRANCHESCA, LUCAS
YÑIGUEZ,CASSANDRA, ALCANTARA
"""
_SAPPHIRE_MALES = """
ABELLA,ADRIAN PAUL, CORPUZ
AGCAOILI,BRYAN, PASCUA
ALEJO,CARL ANTHONY, RIVERA
BALANTAC,DANIEL, ORTEGA
BENIGNO,EDUARDO, III MATEO
CACAL,FRANCIS, LEANO
CALIXTO,GERALD, NONES
DACANAY,HAROLD JAMES, SIBAYAN
DE VERA,IAN CHRISTOPHER, LOPEZ
DUQUE,JAMES MATTHEW, REYES
FAJARDO,KEVIN, GARVIDA
GALAPON,LEONARD, ASUNCION
GUIEB,MARC LOUIS, TAMAYO
HERNANDO,NEIL PATRICK, CALPITO
LEAÑO,OLIVER, BATTUNG
MACADANGDANG,PAOLO, RUIZ
MIGUEL,RYAN, -
NICOLAS,SAMUEL, TUGAS
PALALAY,TIMOTHY, BUMATAY
RAGASA,VINCENT, AGDEPPA
SALES,WARREN, GALIZA
SANTOS,JUAN CARLO, JR DELA ROSA
TAPAOAN,YUAN, FIESTA
VALERA,ZION, MALLARI
"""
_SAPPHIRE_FEMALES = """
ADRIANO,ABIGAIL, CABRERA
AGUSTIN,BIANCA, DOMINGO
ANDRES,CHLOE MARIE, TOMAS
BARROGA,DIANNE, PIÑERA
BUENO,ELAINE, MEDRANO
CADIZ,FAITH, SISON
CUARESMA,GWYNETH, LAGUNDINO
DELOS SANTOS,HANNAH, BARENG
DOMINGUEZ,IRISH, PERALTA
FONTANILLA,JASMINE, ROSALES
GARCIA,KAREN CLAIRE, MA. SANTOS
ILDEFONSO,LEAH, ANTONIO
JUAN,MA. THERESE, BALDERAS
LABRADOR,NINA, CARBONELL
MARTINEZ,OLIVIA, TAGUINOD
NIÑALGA,PATRICIA, DANCEL
PERALTA,QUEENIE, VILLANUEVA
QUIJANO,RACHEL, -
RABE,SAMANTHA, OANDASAN
SUGUITAN,TRICIA, BALAOING
TOLENTINO,VANESSA, ULEP
VISAYA,YSABEL, ZARATE
"""
_EMERALD_MALES = """
ALONZO,AARON JAY, BALISACAN
ASISTIN,BENEDICT, CORTES
BACTAD,CEDRICK, DALUSONG
BUTAY,DOMINIC, ESPIRITU
CALARO,ELIJAH, FLORENDO
CASTILLO,FERDINAND, JR GAPPI
DADIZ,GIAN CARLO, HIDALGO
DE LA PEÑA,HANS, IGNACIO
ESPEJO,ISAIAH, JACINTO
FAMORCA,JETHRO, KIAMKO
GANAL,KYLE ANDREI, LUMBA
GRANDE,LORENZ, MACAPAGAL
IGARTA,MIGUEL ANGELO, NAVAL
JIMENEZ,NOEL, -
LLAGUNO,OSCAR, PALAFOX
MADAMBA,PHILIP, QUITEVIS
NUÑEZ,RAMON, RAQUEPO
PIMENTEL,STEVEN, SADORRA
RAFANAN,TRISTAN, TACTAY
SARMIENTO,URIEL, UGALE
TABIOS,VICTOR, VENTURA
YADAO,WILFRED, ZAMORA
"""
_EMERALD_FEMALES = """
ABUAN,ALYSSA, BARBA
ALCON,BETTINA, CALUCAG
BADUA,CAMILLE, DAQUIOAG
BONOAN,DANICA, ESCALANTE
CAMPAÑANO,ERIKA, FABRO
CASTAÑEDA,FIONA, GABRIEL
DAGUIO,GIANNA, HERRERA
DE ASIS,HEART, IMPERIAL
EUGENIO,IVY JANE, JAVIER
FUENTES,JULIA, KINTANAR
GALINATO,KATRINA, LIBED
GUERRERO,LIANNE, MABUTAS
INES,MA. LOURDES, NATIVIDAD
JOSE,NATHALIE, OBRERO
LACAR,ODESSA, PARADO
MANGLAL-LAN,PRECIOUS, QUIAMAS
NALUPTA,RIZZA, REMIGIO
PADILLA,STEPHANIE, SANTIAGO
RUBIO,TIFFANY, TORRES
STO. DOMINGO,URSULA, UMIPIG
TEJADA,VALERIE, -
VILLA,WENDY, YAPO
ZABALA,XANDRA, AGLIAM
"""


def _section(name: str, adviser: DemoPerson, first_number: int, males: str, females: str) -> DemoSection:
    names: list[tuple[str, Sex]] = [(line, "M") for line in males.split("\n") if line]
    names += [(line, "F") for line in females.split("\n") if line]
    learners = (_learner(line, sex, first_number + position) for position, (line, sex) in enumerate(names, start=1))
    return DemoSection("Grade 8", name, adviser, tuple(learners))


def _learner(line: str, sex: Sex, number: int) -> DemoLearner:
    name = split_lis_name(line)
    return DemoLearner(f"3001232{number:05}", name.last, name.first, name.middle, name.extension, sex)


JADEITE = _section("Jadeite", REYES, 10_000, _JADEITE_MALES, _JADEITE_FEMALES)
SAPPHIRE = _section("Sapphire", PENA, 20_000, _SAPPHIRE_MALES, _SAPPHIRE_FEMALES)
EMERALD = _section("Emerald", BANEZ, 30_000, _EMERALD_MALES, _EMERALD_FEMALES)
SECTIONS = (JADEITE, SAPPHIRE, EMERALD)


def sample_roster_csv(section: DemoSection) -> str:
    """A section as the filled-in CSV template; send it as `utf-8-sig`."""
    lines = (
        ",".join((learner.lrn, learner.last, learner.first, learner.middle, learner.extension, learner.sex, "", ""))
        for learner in section.learners
    )
    return roster_csv_template() + "".join(f"{line}\r\n" for line in lines)
