"""How much memory does a check take of a large file, and how fast is it? Against the official script's loops, on the same file.

    python benchmarks/data_scale.py [--megabytes 1000] [--workers 1] [--seed 0] [--keep FILE] [--json]

The file is made up here: chats in six languages, some with a system message, several turns or a tool call, 2 % exact and 3 % near
repeats, one row in 500 broken. The check runs as `harness data check --json` in a process of its own, whose peak resident memory (its
imports included) is asked of the kernel; the script's loops run in another, on the file's first megabytes, because they hold the whole.
"""

import argparse
import itertools
import json
import os
import random
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from data_counting import countable

WORDS = {
    "en": "the a to of and please could order invoice account yesterday customer received broken password return delivery "
    "address because payment number we can send replace check today store again your request which about refund "
    "within days support thanks question still waiting email confirm change subscription monthly plan cancel update "
    "card charged twice want know when arrive package screen works after before restart device answer short clear",
    "de": "der die das und ist nicht bitte Rechnung Konto gestern Kunde erhalten defekt Passwort Lieferung Adresse weil "
    "Zahlung Nummer wir können senden ersetzen prüfen heute Geschäft wieder Ihre Anfrage welche über Erstattung "
    "innerhalb Tagen danke Frage warten bestätigen ändern Abonnement monatlich kündigen Karte zweimal wissen wann ankommt",
    "es": "el la los y no es por favor pedido factura cuenta ayer cliente recibido roto contraseña devolución entrega "
    "dirección porque pago número podemos enviar cambiar revisar hoy tienda otra vez su solicitud sobre reembolso dentro "
    "días gracias pregunta esperando confirmar suscripción mensual cancelar tarjeta cobrado dos veces saber cuándo llega",
    "ru": "и не в на пожалуйста заказ счёт вчера клиент получил сломан пароль возврат доставка адрес потому что оплата номер "
    "мы можем отправить заменить проверить сегодня магазин снова ваш запрос который деньги течение дней спасибо вопрос "
    "ждать подтвердить изменить подписка ежемесячно отменить карта дважды узнать когда придёт посылка экран работает",
    "zh": "请问 我的 订单 发票 账户 昨天 客户 收到 损坏 密码 退货 配送 地址 因为 付款 号码 我们 可以 发送 更换 检查 今天 商店 再次 您的 请求 关于 退款 "
    "以内 天 谢谢 问题 等待 确认 修改 订阅 每月 取消 银行卡 两次 知道 什么时候 到达 包裹 屏幕 正常 之后 重启 设备 回答 简短 清楚 需要 合同 法律 规定 应当",
    "ar": "من فضلك الطلب الفاتورة الحساب أمس العميل استلم مكسور كلمة المرور إرجاع التوصيل العنوان لأن الدفع رقم نحن يمكن إرسال "
    "استبدال فحص اليوم المتجر مرة أخرى طلبك حول استرداد خلال أيام شكرا سؤال انتظار تأكيد تغيير الاشتراك شهري إلغاء البطاقة",
}
SYSTEM = ("You answer customers briefly.", "Antworte freundlich und kurz.", "你是客服助手，请简短回答。")
RARE_WORDS = 20_000
BASELINE_MEGABYTES = 20
OFFICIAL = """
import json, sys, time
from data_counting import official, resident
from harness.dataset.tokens import count_tokens, encoding_for
from pathlib import Path
encoding = encoding_for(sys.argv[2])
count_tokens("load", encoding=encoding)
started = time.perf_counter()
official(Path(sys.argv[1]), encoding)
print(json.dumps({"seconds": time.perf_counter() - started, "megabytes": resident()}))
"""
CHECK = """
import json, sys, time
started = time.perf_counter()
from data_counting import resident
from harness.cli import main
status = main(["data", "check", *sys.argv[1:]])
print(json.dumps({"seconds": time.perf_counter() - started, "megabytes": resident(), "status": status}), file=sys.stderr)
"""


class Writer:
    """Writes sentences of one language: its common words, and rarer ones made of their halves, drawn as unevenly as in real text."""

    def __init__(self, language: str, generator: random.Random) -> None:
        words = WORDS[language].split()
        halves = [(word[: (len(word) + 1) // 2], word[len(word) // 2 :]) for word in words]
        words += [generator.choice(halves)[0] + generator.choice(halves)[1] for _ in range(RARE_WORDS)]
        weights = [1 / (rank + 3) for rank in range(len(words))]
        self._words, self._weights = words, list(itertools.accumulate(weights))
        self._space, self._end = ("", "。") if language == "zh" else (" ", ". ")
        self._generator = generator

    def text(self, fewest: int, most: int) -> str:
        """So many sentences, in every third a number."""
        made = []
        for _ in range(self._generator.randint(fewest, most)):
            count = self._generator.randint(6, 14)
            words = self._generator.choices(self._words, cum_weights=self._weights, k=count)
            if self._generator.random() < 1 / 3:
                words[-1] = str(self._generator.randrange(10**6))
            made.append((self._space.join(words) + self._end).capitalize())
        return "".join(made).strip()


def chat(writer: Writer, generator: random.Random) -> dict[str, object]:
    messages: list[dict[str, object]] = []
    if generator.random() < 0.5:
        messages.append({"role": "system", "content": generator.choice(SYSTEM)})
    for _ in range(generator.choice((1, 1, 1, 2, 3))):
        messages += [
            {"role": "user", "content": writer.text(1, 5)},
            {"role": "assistant", "content": writer.text(2, 8)},
        ]
    if generator.random() < 0.03:
        call = {"name": "find_order", "arguments": json.dumps({"number": generator.randrange(10**6)})}
        called = {
            "role": "assistant",
            "tool_calls": [{"id": "call_1", "type": "function", "function": call}],
        }
        result = {"role": "tool", "tool_call_id": "call_1", "content": writer.text(1, 2)}
        messages[-1:-1] = [called, result]
    return {"messages": messages}


def lines(generator: random.Random) -> Iterator[str]:
    """Rows without end; some repeat one of the last few thousand, word for word or nearly."""
    writers, recent = [Writer(language, generator) for language in WORDS], [""] * 4096
    number = 0
    while True:
        chance = generator.random()
        old = recent[generator.randrange(len(recent))]
        line = json.dumps(chat(generator.choice(writers), generator), ensure_ascii=False)
        if old and chance < 0.02:
            line = old
        elif old and chance < 0.05:
            line = old.replace(".", "!", 1).replace("。", "！", 1)
        elif chance > 0.998:
            line = generator.choice((line[:-5], line.replace('"user"', '"usr"'), '{"prompt": 1}'))
        else:
            recent[number % len(recent)] = line
        number += 1
        yield line


def write(path: Path, *, megabytes: float, seed: int) -> None:
    left = megabytes * 1e6
    with path.open("w", encoding="utf-8") as file:
        for line in lines(random.Random(seed)):
            file.write(line + "\n")
            left -= len(line.encode()) + 1
            if left <= 0:
                return


def ran(code: str, *arguments: str, one_core: bool) -> tuple[dict[str, float], str]:
    """What a child says of itself, and what it printed before."""
    pin = ["taskset", "-c", str(min(os.sched_getaffinity(0)))] if one_core else []
    done = subprocess.run(
        [*pin, sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parent,
    )
    told = (done.stderr if code is CHECK else done.stdout).strip().splitlines()
    if not told or not told[-1].startswith("{"):
        raise SystemExit(done.stderr)
    return json.loads(told[-1]), done.stdout


def measured(path: Path, options: argparse.Namespace) -> dict[str, object]:
    size = path.stat().st_size / 1e6
    own, report = ran(
        CHECK,
        *(str(path), "--json", "--model", options.model, "--workers", str(options.workers)),
        one_core=options.workers == 1,
    )
    found = json.loads(report)
    head = path.with_name("head.jsonl")
    with path.open("rb") as file:
        rows = [row for row in file.readlines(BASELINE_MEGABYTES * 10**6) if countable(row)]
    head.write_bytes(b"".join(rows))
    head_size = head.stat().st_size / 1e6
    theirs, _ = ran(OFFICIAL, str(head), options.model, one_core=True)
    return {
        "megabytes": round(size, 1),
        "rows": found["rows"],
        "errors": sum(found["error_counts"].values()),
        "findings": [finding["name"] for finding in found["findings"]],
        "workers": options.workers,
        "check_s": round(own["seconds"], 1),
        "check_mb_per_s": round(size / own["seconds"], 2),
        "check_peak_mb": round(own["megabytes"]),
        "script_megabytes": round(head_size, 1),
        "script_mb_per_s": round(head_size / theirs["seconds"], 2),
        "script_peak_mb": round(theirs["megabytes"]),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--megabytes", type=float, default=1000)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--model", default="gpt-4o-mini-2024-07-18")
    parser.add_argument("--keep", type=Path, help="leave the file there, and take it when it is there")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = options.keep or Path(folder) / "rows.jsonl"
        if not path.exists():
            write(path, megabytes=options.megabytes, seed=options.seed)
        told = measured(path, options)
    if options.json:
        print(json.dumps(told))
        return
    print(f"{told['megabytes']} MB, {told['rows']:,} rows, {told['errors']:,} mistakes; {told['findings']}")
    print(
        f"check with {told['workers']} worker(s): {told['check_s']} s, {told['check_mb_per_s']} MB/s, "
        f"peak {told['check_peak_mb']} MB resident, imports included"
    )
    print(
        f"official script's loops on the first {told['script_megabytes']} MB, one core: {told['script_mb_per_s']} MB/s, "
        f"peak {told['script_peak_mb']} MB resident"
    )


if __name__ == "__main__":
    main()
